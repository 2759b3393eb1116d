/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The packet in hand: its bytes, wherever they lie, and what its headers say. */
#pragma once

#include "types.h"

enum {
	/* Headers further in are left to the kernel: the verifier wants a bound. */
	PACKET_NEAR = 1024,
};

struct l4_ports {
	__be16 sport;
	__be16 dport;
};

enum {
	FRAGMENT_ANY = 1,
	/* one without a transport header */
	FRAGMENT_LATER = 2,
};

/*
 * What the IP headers say of fragmentation. id: as in the packet. protocol: of what was cut to
 * pieces, for IPv6 perhaps another extension header.
 */
struct fragment {
	__be32 id;
	__u8 flags;
	__u8 protocol;
	__u8 pad[2];
};

static __always_inline __u8 fragment_flags(bool is_fragment, bool has_l4)
{
	return (is_fragment ? FRAGMENT_ANY : 0) | (has_l4 ? 0 : FRAGMENT_LATER);
}

/* The bytes if they lie in the linear part of the packet, else NULL. */
static __always_inline void *packet_at(struct __sk_buff *ctx, __u32 offset, __u32 size)
{
	void *at;

	/* What is compared must be what is added. */
	barrier_var(offset);
	if (offset > PACKET_NEAR)
		return NULL;
	at = (void *)(long)ctx->data + offset;
	return at + size <= (void *)(long)ctx->data_end ? at : NULL;
}

/* Copy what stands at the offset to *to. Negative if the packet is too short. */
#define packet_load(ctx, offset, to)                                                  \
	({                                                                            \
		const typeof(*(to)) *linear_ = packet_at(ctx, offset, sizeof(*(to))); \
		long ret_ = 0;                                                        \
                                                                                      \
		if (likely(linear_))                                                  \
			*(to) = *linear_;                                             \
		else                                                                  \
			ret_ = bpf_skb_load_bytes(ctx, offset, to, sizeof(*(to)));    \
		ret_;                                                                 \
	})
