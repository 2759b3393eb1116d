/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The way into an endpoint, in two programs a family: parse and find the connection; apply policy
 * and deliver. Both are the same for packets that another program brings to the endpoint's policy
 * program and for those that the stack sends to its interface.
 */
#pragma once

#include "admit.h"
#include "conntrack.h"
#include "icmp6.h"
#include "ip.h"
#include "ipcache.h"
#include "l4.h"
#include "local_delivery.h"
#include "proxy.h"
#include "service.h"
#include "trace.h"

/* Not a verdict of tc: the packet is to go to the proxy first. */
#define POLICY_ACT_PROXY_REDIRECT (1 << 16)

static __always_inline int ct_to_container(struct __sk_buff *ctx, bool ipv6)
{
	union ct_buffer *buffer = ct_buffer(ipv6);
	int ret;

	if (!ip_enabled(ipv6))
		return DROP_UNKNOWN_L3;
	if (!buffer)
		return DROP_INVALID_TC_BUFFER;
	if (ipv6) {
		struct ipv6hdr *ip6 = ipv6_header_pull(ctx);

		if (!ip6)
			return DROP_INVALID;
		ret = ipv6_extract_tuple(ctx, ip6, METRIC_INGRESS, buffer);
	} else {
		struct iphdr *ip4 = ipv4_header_pull(ctx);

		if (!ip4)
			return DROP_INVALID;
		ret = ipv4_extract_tuple(ctx, ip4, METRIC_INGRESS, buffer);
	}
	if (IS_ERR(ret))
		return ret;
	return ct_lookup(ctx, buffer, ipv6, CT_INGRESS, CT_SCOPE_BIDIR);
}

static __always_inline void trace_to_container(struct __sk_buff *ctx, enum trace_point point,
					       bool ipv6, const struct ct_packet *packet,
					       __u32 src_label, __u16 dst_id,
					       const union v6addr *source)
{
	struct trace_site site = {
		.point = point,
		.reason = (enum trace_reason)packet->status,
		.src_label = src_label,
		.dst_label = security_label,
		.dst_id = dst_id,
		.ifindex = interface_ifindex,
		.monitor = packet->monitor,
		.flags = ipv6 ? TRACE_FLAG_IPV6 : 0,
		.orig = *source,
	};

	trace_packet(ctx, &site);
}

/*
 * The endpoint's packets to itself, by a service, need no policy; they come from the node's stand-
 * in address and are known by the entry that was made where they left.
 */
static __always_inline bool ingress_loopback(union ct_buffer *buffer, bool ipv6)
{
	const struct ct_packet *packet = &buffer->packet;
	aligned_ipv4_ct_tuple out;
	const struct ct_entry *entry;

	if (ipv6 || !enable_per_packet_lb)
		return false;
	if (packet->status != CT_NEW)
		return packet->state.loopback;
	out = buffer->v4.tuple;
	if (out.daddr != service_loopback_ipv4.be32)
		return false;
	out.flags = TUPLE_F_OUT;
	entry = out.nexthdr == IPPROTO_TCP ? bpf_map_lookup_elem(&cilium_ct4_global, &out)
					   : bpf_map_lookup_elem(&cilium_ct_any4_global, &out);
	return entry && entry->lb_loopback;
}

/* A new packet of a connection that others opened, or may open now. Returns 0 or a drop reason. */
static __always_inline int admit_forward(struct __sk_buff *ctx, union ct_buffer *buffer, bool ipv6,
					 __u32 src_label, const union v6addr *source, __s8 *ext_err)
{
	struct ct_packet *packet = &buffer->packet;
	struct ct_state state = { .loopback = ingress_loopback(buffer, ipv6) };
	int ret;

	/* What comes from the ingress proxy has been let in by it. */
	if (!from_ingress_proxy(ctx) && !state.loopback) {
		ret = admit(ctx, ipv6, false, src_label, source, ext_err);
		if (ret != TC_ACT_OK)
			return ret;
	}
	if (packet->status != CT_NEW)
		return 0;
	state.proxy_redirect = packet->proxy_port != 0;
	return ct_create(ctx, ipv6, CT_INGRESS, &state, src_label, ext_err);
}

/*
 * Decide on a packet whose connection is in the buffer. Returns TC_ACT_OK,
 * POLICY_ACT_PROXY_REDIRECT with the proxy's port in the buffer (0 for replies, which its socket
 * will get), or a drop reason.
 */
static __always_inline int admit_to_container(struct __sk_buff *ctx, union ct_buffer *buffer,
					      bool ipv6, __u32 src_label,
					      const union v6addr *source, __s8 *ext_err)
{
	struct ct_packet *packet = &buffer->packet;
	bool to_proxy = false;
	int ret = 0;

	packet->proxy_port = 0;
	if (packet->status == CT_REPLY || packet->status == CT_RELATED) {
		/* What comes from the egress proxy has been there. */
		to_proxy = packet->state.proxy_redirect && !from_egress_proxy(ctx);
		if (enable_per_packet_lb && !to_proxy && unlikely(packet->state.rev_nat_index))
			ret = service_reverse(ctx, buffer, ipv6, source);
	} else {
		ret = admit_forward(ctx, buffer, ipv6, src_label, source, ext_err);
	}
	if (IS_ERR(ret))
		return ret;

	if (to_proxy || packet->proxy_port) {
		trace_to_container(ctx, TRACE_TO_PROXY, ipv6, packet, src_label,
				   bpf_ntohs(packet->proxy_port), source);
		return POLICY_ACT_PROXY_REDIRECT;
	}
	trace_to_container(ctx, TRACE_TO_LXC, ipv6, packet, src_label, endpoint_id, source);
	return TC_ACT_OK;
}

/*
 * What the stack sends carries the host's identity, or the world's, where it has lost the real
 * one; the address tells better. But an address of the host only means that it was translated on
 * the way.
 */
static __always_inline __u32 better_source_label(__u32 src_label, const union v6addr *source,
						 bool ipv6)
{
	const struct remote_endpoint_info *remote;

	if (!identity_is_reserved(src_label))
		return src_label;
	remote = ipcache_lookup(source, ipv6);
	if (!remote || !remote->sec_identity || remote->sec_identity == HOST_ID)
		return src_label;
	return remote->sec_identity;
}

/*
 * What the stack sends has not met a program yet that would know its sender. False: neighbour
 * discovery is between it and the endpoint.
 */
static __always_inline bool receive_from_stack(struct __sk_buff *ctx, bool ipv6, __u32 *src_label,
					       const union v6addr *source)
{
	struct ipv6hdr *ip6;
	__u8 type;

	if (ipv6) {
		ip6 = ipv6_header(ctx);
		if (ip6 && icmp6_is_ndp(ctx, ip6, &type))
			return false;
	}
	*src_label = better_source_label(*src_label, source, ipv6);
	if (enable_local_delivery_metrics)
		count_packet(ctx->len, METRIC_INGRESS, REASON_FORWARDED);
	return true;
}

static __always_inline int deliver_to_proxy(struct __sk_buff *ctx, bool ipv6, __be16 proxy_port,
					    enum delivery delivery, __s8 *ext_err)
{
	int ret;

	if (delivery == DELIVERY_INTERFACE)
		return redirect_to_proxy_hairpin(ctx, ipv6, proxy_port, ext_err);
	ret = redirect_to_proxy(ctx, proxy_port);
	ctx_store(ctx, CB_PROXY_MAGIC, ctx->mark);
	return ret;
}

/* Second program. *src_label is improved where a better one is known. */
static __always_inline int deliver_to_container(struct __sk_buff *ctx, bool ipv6, __u32 *src_label,
						__s8 *ext_err)
{
	bool from_host = ctx_load_and_clear(ctx, CB_FROM_HOST);
	enum delivery delivery = ctx_load(ctx, CB_DELIVERY);
	union ct_buffer *buffer = ct_buffer(ipv6);
	union v6addr source = {};
	int ret;

	if (!ip_enabled(ipv6))
		return DROP_UNKNOWN_L3;
	ret = ip_address(ctx, ipv6, IP_SOURCE, &source);
	if (IS_ERR(ret))
		return ret;
	if (delivery == DELIVERY_INTERFACE && !receive_from_stack(ctx, ipv6, src_label, &source))
		return TC_ACT_OK;

	if (!buffer || ct_tuple_unset(buffer, ipv6))
		return DROP_INVALID_TC_BUFFER;
	ret = admit_to_container(ctx, buffer, ipv6, *src_label, &source, ext_err);
	if (ret == POLICY_ACT_PROXY_REDIRECT)
		return deliver_to_proxy(ctx, ipv6, buffer->packet.proxy_port, delivery, ext_err);
	if (ret == TC_ACT_OK && delivery == DELIVERY_REDIRECT)
		return redirect_ep(ctx, interface_ifindex, from_host);
	return ret;
}
