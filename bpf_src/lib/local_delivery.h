/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* From one endpoint to another of the same node, through the receiver's policy program. */
#pragma once

#include "config.h"
#include "dbg.h"
#include "endpoint.h"
#include "identity.h"
#include "l3.h"
#include "metrics.h"
#include "tailcall.h"

/*
 * A program that received the packet from a device may put it straight behind the pair of
 * interfaces. One that serves the host's stack may not.
 */
static __always_inline int redirect_ep(struct __sk_buff *ctx, __u32 ifindex, bool from_host)
{
	if (enable_host_routing && !from_host && ctx->ingress_ifindex)
		return ctx_redirect_peer(ctx, ifindex);
	return ctx_redirect(ctx, ifindex, 0);
}

static __always_inline int local_delivery(struct __sk_buff *ctx, bool ipv6, __u32 src_label,
					  const struct endpoint_info *ep, enum metric_dir dir,
					  __s8 *ext_err)
{
	union macaddr smac = { .pad = ep->node_mac }, dmac = { .pad = ep->mac };
	int ret;

	cilium_dbg(ctx, DBG_LOCAL_DELIVERY, ep->lxc_id, src_label);
	ret = l3(ctx, ipv6, smac.addr, dmac.addr, ext_err);
	if (ret)
		return ret;

	/* It may yet be dropped; then the receiver counts the drop. */
	if (enable_local_delivery_metrics)
		count_packet(ctx->len, dir, REASON_FORWARDED);

	if (enable_endpoint_routes && !enable_host_routing) {
		/* The receiver's program on its own interface applies the policy. */
		if (enable_identity_mark)
			ctx->mark = identity_to_mark(src_label, MARK_MAGIC_IDENTITY);
		return ctx_redirect(ctx, ep->ifindex, 0);
	}

	ctx_store(ctx, CB_SRC_LABEL, src_label);
	ctx_store(ctx, CB_DELIVERY, DELIVERY_REDIRECT);
	ctx_store(ctx, CB_CLUSTER_ID_INGRESS, 0);
	ctx_store(ctx, CB_FROM_HOST, 0);
	return tail_call_policy(ctx, ep->lxc_id);
}
