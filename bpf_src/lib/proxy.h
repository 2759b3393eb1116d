/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The way to the proxy: the mark names its port, the host's stack does the rest. */
#pragma once

#include "identity.h"
#include "l3.h"

static __always_inline bool from_ingress_proxy(struct __sk_buff *ctx)
{
	return ctx->tc_index & TC_INDEX_F_FROM_INGRESS_PROXY;
}

static __always_inline bool from_egress_proxy(struct __sk_buff *ctx)
{
	return ctx->tc_index & TC_INDEX_F_FROM_EGRESS_PROXY;
}

/* Port 0: a reply to the proxy, which has a socket for it. */
static __always_inline int redirect_to_proxy(struct __sk_buff *ctx, __be16 proxy_port)
{
	ctx->mark = MARK_MAGIC_TO_PROXY | (__u32)proxy_port << 16;
	return TC_ACT_OK;
}

/*
 * From the endpoint's own interface on the way in there is no stack to pass to: go back through
 * cilium_net.
 */
static __always_inline int redirect_to_proxy_hairpin(struct __sk_buff *ctx, bool ipv6,
						     __be16 proxy_port, __s8 *ext_err)
{
	union macaddr host_mac = { .pad = cilium_host_mac.pad };
	union macaddr own_mac = interface_mac_value();
	int ret;

	ret = l3(ctx, ipv6, own_mac.addr, host_mac.addr, ext_err);
	ctx->mark = MARK_MAGIC_TO_PROXY | (__u32)proxy_port << 16;
	ctx_store(ctx, CB_PROXY_MAGIC, ctx->mark);
	return ret ? ret : ctx_redirect(ctx, cilium_net_ifindex, 0);
}
