/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The way out of an endpoint, in three programs a family: check and parse; find the connection;
 * apply policy, keep the connection and send the packet on. ipv6 is a constant everywhere, so each
 * family has its own code in the end.
 */
#pragma once

#include "admit.h"
#include "conntrack.h"
#include "fib.h"
#include "icmp6.h"
#include "ip.h"
#include "ipcache.h"
#include "l4.h"
#include "local_delivery.h"
#include "proxy.h"
#include "service.h"
#include "trace.h"

static __always_inline bool ipv4_source_valid(const struct iphdr *ip4)
{
	return !enable_source_ip_verification || ip4->saddr == endpoint_ipv4.be32;
}

static __always_inline bool ipv6_source_valid(const struct ipv6hdr *ip6)
{
	const union v6addr *saddr = ipv6_addr(&ip6->saddr);

	return !enable_source_ip_verification ||
	       (saddr->p1 == endpoint_ipv6.p1 && saddr->p2 == endpoint_ipv6.p2 &&
		saddr->p3 == endpoint_ipv6.p3 && saddr->p4 == endpoint_ipv6.p4);
}

/* To the backend, if the packet is to a service, and on to the second program. */
static __always_inline int leave_container(struct __sk_buff *ctx, union ct_buffer *buffer,
					   bool ipv6, __s8 *ext_err)
{
	int ret = enable_per_packet_lb ? service_forward(ctx, buffer, ipv6, ext_err) : 0;

	if (ret == DROP_NO_SERVICE && enable_no_backend_response)
		return tail_call_internal(
			ctx, ipv6 ? CILIUM_CALL_IPV6_NO_SERVICE : CILIUM_CALL_IPV4_NO_SERVICE,
			ext_err);
	if (IS_ERR(ret))
		return ret;
	return tail_call_internal(
		ctx, ipv6 ? CILIUM_CALL_IPV6_CT_EGRESS : CILIUM_CALL_IPV4_CT_EGRESS, ext_err);
}

/* First program: what may leave the endpoint at all. Leaves the tuple in the buffer. */
static __always_inline int ipv4_from_container(struct __sk_buff *ctx, __s8 *ext_err)
{
	union ct_buffer *buffer;
	struct iphdr *ip4;
	int ret;

	if (!ip_enabled(false))
		return DROP_UNKNOWN_L3;
	ip4 = ipv4_header_pull(ctx);
	if (!ip4)
		return DROP_INVALID;
	if (unlikely(!ipv4_source_valid(ip4)))
		return DROP_INVALID_SIP;
	buffer = ct_buffer(false);
	if (!buffer)
		return DROP_INVALID_TC_BUFFER;
	ret = ipv4_extract_tuple(ctx, ip4, METRIC_EGRESS, buffer);
	if (IS_ERR(ret))
		return ret;
	return leave_container(ctx, buffer, false, ext_err);
}

static __always_inline int ipv6_from_container(struct __sk_buff *ctx, __s8 *ext_err)
{
	union ct_buffer *buffer;
	struct ipv6hdr *ip6;
	__u8 type;
	int ret;

	if (!ip_enabled(true))
		return DROP_UNKNOWN_L3;
	ip6 = ipv6_header_pull(ctx);
	if (!ip6)
		return DROP_INVALID;
	if (unlikely(icmp6_is_ndp(ctx, ip6, &type))) {
		if (type == ICMP6_NS)
			return tail_call_internal(ctx, CILIUM_CALL_HANDLE_ICMP6_NS, ext_err);
		return TC_ACT_OK;
	}
	if (unlikely(!ipv6_source_valid(ip6)))
		return DROP_INVALID_SIP;
	buffer = ct_buffer(true);
	if (!buffer)
		return DROP_INVALID_TC_BUFFER;
	ret = ipv6_extract_tuple(ctx, ip6, METRIC_EGRESS, buffer);
	if (IS_ERR(ret))
		return ret;
	return leave_container(ctx, buffer, true, ext_err);
}

/* Second program: find the connection. */
static __always_inline int ct_from_container(struct __sk_buff *ctx, bool ipv6, __s8 *ext_err)
{
	union ct_buffer *buffer = ct_buffer(ipv6);
	int ret;

	if (!ip_enabled(ipv6))
		return DROP_UNKNOWN_L3;
	if (!buffer)
		return DROP_INVALID_TC_BUFFER;
	ret = ct_lookup(ctx, buffer, ipv6, CT_EGRESS,
			ctx_load(ctx, CB_SERVICE) ? CT_SCOPE_FORWARD : CT_SCOPE_BIDIR);
	if (IS_ERR(ret))
		return ret;
	return tail_call_internal(
		ctx, ipv6 ? CILIUM_CALL_IPV6_FROM_LXC_CONT : CILIUM_CALL_IPV4_FROM_LXC_CONT,
		ext_err);
}

static __always_inline void trace_from_container(struct __sk_buff *ctx, enum trace_point point,
						 const struct ct_packet *packet, __u32 dst_label,
						 __u16 dst_id, __u32 ifindex)
{
	struct trace_site site = {
		.point = point,
		.reason = (enum trace_reason)packet->status,
		.src_label = security_label,
		.dst_label = dst_label,
		.dst_id = dst_id,
		.ifindex = ifindex,
		.monitor = packet->monitor,
	};

	trace_packet(ctx, &site);
}

/*
 * Keep the connection's entry in step with what policy says now: a new one, or one whose
 * translation or proxy changed, is (re)created, for its flags decide where replies go.
 */
static __always_inline int egress_track(struct __sk_buff *ctx, union ct_buffer *buffer, bool ipv6,
					__u32 service, __s8 *ext_err)
{
	const struct ct_packet *packet = &buffer->packet;
	struct ct_state state = {
		.rev_nat_index = service & SERVICE_INDEX,
		.loopback = !!(service & SERVICE_LOOPBACK),
		.proxy_redirect = packet->proxy_port != 0,
	};

	if (packet->status == CT_ESTABLISHED &&
	    likely(packet->state.rev_nat_index == state.rev_nat_index &&
		   packet->state.proxy_redirect == state.proxy_redirect))
		return 0;
	return ct_create(ctx, ipv6, CT_EGRESS, &state, security_label, ext_err);
}

/*
 * The host's stack takes over; the mark tells it, and whatever program meets the packet next, who
 * sent it.
 */
static __always_inline int pass_to_stack(struct __sk_buff *ctx, bool ipv6,
					 const struct ct_packet *packet, __u32 dst_label,
					 __s8 *ext_err)
{
	union macaddr mac = interface_mac_value();
	int ret;

	if (!enable_endpoint_routes) {
		ret = l3(ctx, ipv6, NULL, mac.addr, ext_err);
		if (ret)
			return ret;
	}
	if (enable_identity_mark)
		ctx->mark = identity_to_mark(security_label, MARK_MAGIC_IDENTITY);
	trace_from_container(ctx, TRACE_TO_STACK, packet, dst_label, 0, 0);
	return TC_ACT_OK;
}

/* To an endpoint of this node, to this node, or away from it. */
static __always_inline int egress_forward(struct __sk_buff *ctx, bool ipv6, bool loopback,
					  const union v6addr *destination,
					  const struct ct_packet *packet, __u32 dst_label,
					  __s8 *ext_err)
{
	union v6addr to = *destination;
	const struct endpoint_info *local;
	__u32 oif = 0;
	int ret;

	/* The stack would not send a packet back to the interface it came from. */
	if (!enable_endpoint_routes || enable_host_routing || loopback) {
		/* The stand-in address is nobody's: its replies go to who sends them. */
		if (!ipv6 && loopback && packet->status == CT_REPLY) {
			ret = ip_address(ctx, ipv6, IP_SOURCE, &to);
			if (IS_ERR(ret))
				return ret;
		}
		local = endpoint_lookup(&to, ipv6);
		if (local && (local->flags & ENDPOINT_MASK_HOST_DELIVERY))
			return pass_to_stack(ctx, ipv6, packet, dst_label, ext_err);
		if (local)
			return local_delivery(ctx, ipv6, security_label, local, METRIC_EGRESS,
					      ext_err);
	}
	if (!enable_host_routing)
		return pass_to_stack(ctx, ipv6, packet, dst_label, ext_err);

	ret = fib_redirect(ctx, ipv6, &oif, ext_err);
	if (likely(ret == TC_ACT_REDIRECT))
		trace_from_container(ctx, TRACE_TO_NETWORK, packet, dst_label, 0, oif);
	return ret;
}

/* Third program. *dst_label is set as soon as it is known, for the drop's notification. */
static __always_inline int forward_from_container(struct __sk_buff *ctx, bool ipv6,
						  __u32 *dst_label, __s8 *ext_err)
{
	const struct remote_endpoint_info *remote;
	union ct_buffer *buffer = ct_buffer(ipv6);
	__u32 service = ctx_load_and_clear(ctx, CB_SERVICE);
	bool loopback = service & SERVICE_LOOPBACK;
	union v6addr destination = {};
	struct ct_packet *packet;
	int ret;

	if (!ip_enabled(ipv6))
		return DROP_UNKNOWN_L3;
	ret = ip_address(ctx, ipv6, IP_DESTINATION, &destination);
	if (IS_ERR(ret))
		return ret;
	remote = ipcache_lookup(&destination, ipv6);
	*dst_label = remote && remote->sec_identity ? remote->sec_identity
		     : ipv6			    ? world_id_ipv6
						    : world_id_ipv4;
	if (!buffer || ct_tuple_unset(buffer, ipv6))
		return DROP_INVALID_TC_BUFFER;
	packet = &buffer->packet;
	packet->proxy_port = 0;

	switch (packet->status) {
	case CT_NEW:
	case CT_ESTABLISHED:
		/* Nobody needs a policy to talk to itself. */
		if (!loopback) {
			ret = admit(ctx, ipv6, true, *dst_label, &destination, ext_err);
			if (ret != TC_ACT_OK)
				return ret;
		}
		ret = egress_track(ctx, buffer, ipv6, service, ext_err);
		if (IS_ERR(ret))
			return ret;
		if (packet->proxy_port) {
			trace_from_container(ctx, TRACE_TO_PROXY, packet, UNKNOWN_ID,
					     bpf_ntohs(packet->proxy_port), 0);
			return redirect_to_proxy(ctx, packet->proxy_port);
		}
		break;
	case CT_RELATED:
	case CT_REPLY:
		/* A reply to the proxy: its socket will be found. */
		if (packet->state.proxy_redirect) {
			trace_from_container(ctx, TRACE_TO_PROXY, packet, UNKNOWN_ID, 0, 0);
			return redirect_to_proxy(ctx, 0);
		}
		break;
	default:
		return DROP_UNKNOWN_CT;
	}
	return egress_forward(ctx, ipv6, loopback || packet->state.loopback, &destination, packet,
			      *dst_label, ext_err);
}
