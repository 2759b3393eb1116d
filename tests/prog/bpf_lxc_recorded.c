/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The endpoint's programs as they are, but for the three helpers that BPF_PROG_TEST_RUN does not
 * show: their arguments are written down before they are called.
 */
#define RECORDED_REDIRECTS
#include "lib/ctx.h"

enum recorded_helper {
	RECORDED_NONE = 0,
	RECORDED_REDIRECT = 1,
	RECORDED_REDIRECT_PEER = 2,
	RECORDED_REDIRECT_NEIGH = 3,
};

struct record {
	__u32 helper;
	__u32 ifindex;
	__u64 flags;
	__u32 nh_family;
	__u32 nh[4];
	__u32 pad;
};

/* 0 -> the last calls of the packet in hand */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct record);
	__uint(max_entries, 1);
} recorded SEC(".maps");

static __always_inline struct record *record(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&recorded, &zero);
}

static __always_inline void record_redirect(enum recorded_helper helper, __u32 ifindex, __u64 flags)
{
	struct record *seen = record();

	if (!seen)
		return;
	seen->helper = helper;
	seen->ifindex = ifindex;
	seen->flags = flags;
}

static __always_inline int ctx_redirect(struct __sk_buff *ctx __maybe_unused, __u32 ifindex,
					__u64 flags)
{
	record_redirect(RECORDED_REDIRECT, ifindex, flags);
	return bpf_redirect(ifindex, flags);
}

static __always_inline int ctx_redirect_peer(struct __sk_buff *ctx __maybe_unused, __u32 ifindex)
{
	record_redirect(RECORDED_REDIRECT_PEER, ifindex, 0);
	return bpf_redirect_peer(ifindex, 0);
}

static __always_inline int ctx_redirect_neigh(struct __sk_buff *ctx __maybe_unused, __u32 ifindex,
					      struct bpf_redir_neigh *next_hop)
{
	struct record *seen = record();

	record_redirect(RECORDED_REDIRECT_NEIGH, ifindex, 0);
	if (seen) {
		seen->nh_family = next_hop->nh_family;
		__builtin_memcpy(seen->nh, next_hop->ipv6_nh, sizeof(seen->nh));
	}
	return bpf_redirect_neigh(ifindex, next_hop, sizeof(*next_hop), 0);
}

#include "bpf_lxc.c"
