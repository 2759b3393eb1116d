/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The packet's context: its scratch words, its length, and the helpers that send it elsewhere. */
#pragma once

#include <linux/pkt_cls.h>

#include "types.h"

/*
 * Scratch words that travel with the packet through tail calls. A policy program is called with
 * the source identity, how to deliver, and whether the packet comes from the host, so these slots
 * are an interface.
 */
enum cb_slot {
	CB_SRC_LABEL = 0,
	CB_PROXY_MAGIC = 0,
	CB_DELIVERY = 1,
	CB_CLUSTER_ID_INGRESS = 2,
	CB_SERVICE = 2,
	CB_FROM_HOST = 3,
	CB_FROM_TUNNEL = 4,
};

/* What becomes of a packet that may enter the endpoint. */
enum delivery {
	/* the caller of the policy program does what the verdict says */
	DELIVERY_VERDICT = 0,
	DELIVERY_REDIRECT = 1,
	/* it is on the endpoint's own interface already */
	DELIVERY_INTERFACE = 2,
};

/* Bits of tc_index: the packet comes from a proxy and must not be sent there again. */
enum {
	TC_INDEX_F_FROM_INGRESS_PROXY = 1,
	TC_INDEX_F_FROM_EGRESS_PROXY = 2,
};

/*
 * Written as instructions: the compiler likes to compute the address of a word once for several
 * uses, and the verifier refuses an address into the context that was computed.
 */
static __always_inline __u32 ctx_load(const struct __sk_buff *ctx, const enum cb_slot slot)
{
	__u32 value;

	__asm__ volatile("%[value] = *(u32 *)(%[ctx] + %[offset])"
			 : [value] "=r"(value)
			 : [ctx] "r"(ctx), [offset] "i"(offsetof(struct __sk_buff, cb) +
							slot * sizeof(__u32)));
	return value;
}

static __always_inline void ctx_store(struct __sk_buff *ctx, const enum cb_slot slot, __u32 value)
{
	__asm__ volatile("*(u32 *)(%[ctx] + %[offset]) = %[value]"
			 :
			 : [ctx] "r"(ctx), [value] "r"(value),
			   [offset] "i"(offsetof(struct __sk_buff, cb) + slot * sizeof(__u32))
			 : "memory");
}

static __always_inline __u32 ctx_load_and_clear(struct __sk_buff *ctx, const enum cb_slot slot)
{
	__u32 value = ctx_load(ctx, slot);

	ctx_store(ctx, slot, 0);
	return value;
}

static __always_inline void ctx_clear_cb(struct __sk_buff *ctx)
{
	ctx_store(ctx, 0, 0);
	ctx_store(ctx, 1, 0);
	ctx_store(ctx, 2, 0);
	ctx_store(ctx, 3, 0);
	ctx_store(ctx, 4, 0);
}

/* The tests build with a header that records the arguments of these three helpers. */
#ifndef RECORDED_REDIRECTS
static __always_inline int ctx_redirect(struct __sk_buff *ctx __maybe_unused, __u32 ifindex,
					__u64 flags)
{
	return bpf_redirect(ifindex, flags);
}

static __always_inline int ctx_redirect_peer(struct __sk_buff *ctx __maybe_unused, __u32 ifindex)
{
	return bpf_redirect_peer(ifindex, 0);
}

static __always_inline int ctx_redirect_neigh(struct __sk_buff *ctx __maybe_unused, __u32 ifindex,
					      struct bpf_redir_neigh *next_hop)
{
	return bpf_redirect_neigh(ifindex, next_hop, sizeof(*next_hop), 0);
}
#endif
