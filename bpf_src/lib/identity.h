/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Security identities, and how the packet mark carries them between programs and the host's stack.
 */
#pragma once

#include <linux/if_ether.h>

#include "config.h"
#include "ctx.h"

enum {
	UNKNOWN_ID = 0,
	HOST_ID = 1,
	WORLD_ID = 2,
	UNMANAGED_ID = 3,
	REMOTE_NODE_ID = 6,
	KUBE_APISERVER_ID = 7,
	WORLD_IPV4_ID = 9,
	WORLD_IPV6_ID = 10,
};

enum {
	MARK_MAGIC_TO_PROXY = 0x0200,
	MARK_MAGIC_PROXY_INGRESS = 0x0A00,
	MARK_MAGIC_PROXY_EGRESS = 0x0B00,
	MARK_MAGIC_HOST = 0x0C00,
	MARK_MAGIC_IDENTITY = 0x0F00,
	MARK_MAGIC_HOST_MASK = 0x0F00,
};

/*
 * Reserved identities that name a place rather than an endpoint: a better one may be known by
 * address.
 */
static __always_inline bool identity_is_reserved(__u32 identity)
{
	return identity < UNMANAGED_ID || identity == REMOTE_NODE_ID ||
	       identity == KUBE_APISERVER_ID || identity == WORLD_IPV4_ID ||
	       identity == WORLD_IPV6_ID;
}

/* The mark holds the lower 16 bits of an identity above the magic and the upper 8 bits below it. */
static __always_inline __u32 identity_to_mark(__u32 identity, __u32 magic)
{
	return (identity << 16) | magic | ((identity >> 16) & 0xff);
}

static __always_inline __u32 identity_from_mark(__u32 mark)
{
	return ((mark & 0xff) << 16) | (mark >> 16);
}

static __always_inline __u32 world_identity(__be16 proto)
{
	switch (proto) {
	case bpf_htons(ETH_P_IP):
		return world_id_ipv4;
	case bpf_htons(ETH_P_IPV6):
		return world_id_ipv6;
	}
	return WORLD_ID;
}

/*
 * Take the source identity that the host's stack passes in the mark, clear the mark, and note in
 * tc_index when the packet comes from a proxy. Returns the mark's magic.
 */
static __always_inline __u32 inherit_identity_from_host(struct __sk_buff *ctx, __be16 proto,
							__u32 *identity)
{
	__u32 magic = ctx->mark & MARK_MAGIC_HOST_MASK;

	switch (magic) {
	case MARK_MAGIC_PROXY_INGRESS:
		*identity = identity_from_mark(ctx->mark);
		ctx->tc_index |= TC_INDEX_F_FROM_INGRESS_PROXY;
		break;
	case MARK_MAGIC_PROXY_EGRESS:
		*identity = identity_from_mark(ctx->mark);
		ctx->tc_index |= TC_INDEX_F_FROM_EGRESS_PROXY;
		break;
	case MARK_MAGIC_IDENTITY:
		*identity = identity_from_mark(ctx->mark);
		break;
	case MARK_MAGIC_HOST:
		*identity = HOST_ID;
		break;
	default:
		*identity = world_identity(proto);
	}
	ctx->mark = 0;
	return magic;
}
