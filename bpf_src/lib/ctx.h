/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The packet's context: its scratch words, its length, and the helpers that send it elsewhere. */
#pragma once

#include <linux/pkt_cls.h>

#include "types.h"

/*
 * Scratch words that travel with the packet through tail calls. A policy program is called with the source identity,
 * whether to redirect, and whether the packet comes from the host, so these slots are an interface.
 */
enum cb_slot {
	CB_SRC_LABEL = 0,
	CB_PROXY_MAGIC = 0,
	CB_DELIVERY_REDIRECT = 1,
	CB_CLUSTER_ID_INGRESS = 2,
	CB_FROM_HOST = 3,
	CB_FROM_TUNNEL = 4,
};

/* Bits of tc_index: the packet comes from a proxy and must not be sent there again. */
enum {
	TC_INDEX_F_FROM_INGRESS_PROXY = 1,
	TC_INDEX_F_FROM_EGRESS_PROXY = 2,
};

static __always_inline __u32 ctx_load_and_clear(struct __sk_buff *ctx, enum cb_slot slot)
{
	__u32 value = ctx->cb[slot];

	ctx->cb[slot] = 0;
	return value;
}

static __always_inline void ctx_clear_cb(struct __sk_buff *ctx)
{
	ctx->cb[0] = 0;
	ctx->cb[1] = 0;
	ctx->cb[2] = 0;
	ctx->cb[3] = 0;
	ctx->cb[4] = 0;
}

/* The tests build with a header that records the arguments of these four helpers. */
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

static __always_inline int ctx_change_type(struct __sk_buff *ctx, __u32 type)
{
	return bpf_skb_change_type(ctx, type);
}
#endif
