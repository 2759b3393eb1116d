/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * An endpoint's programs. cil_from_container and cil_to_container sit on the host side of its
 * interface pair, for what leaves it and what enters it; cil_lxc_policy stands in
 * cilium_call_policy under the endpoint's number, for what the programs of other interfaces bring
 * it.
 */
#include "lib/config.h"
#include "lib/arp.h"
#include "lib/drop.h"
#include "lib/from_container.h"
#include "lib/no_service.h"
#include "lib/to_container.h"

static __always_inline int drop_from_container(struct __sk_buff *ctx, __u32 dst_label, int reason,
					       __s8 ext_err, __u16 line)
{
	struct drop_site site = {
		.src_label = security_label,
		.dst_label = dst_label,
		.ext_error = ext_err,
		.direction = METRIC_EGRESS,
	};

	return drop_packet_at(ctx, &site, reason, line, SOURCE_FILE_ID);
}

static __always_inline int drop_to_container(struct __sk_buff *ctx, __u32 src_label, int reason,
					     __s8 ext_err, __u16 line)
{
	struct drop_site site = {
		.src_label = src_label,
		.dst_label = security_label,
		.dst_id = endpoint_id,
		.ext_error = ext_err,
		.direction = METRIC_INGRESS,
	};

	return drop_packet_at(ctx, &site, reason, line, SOURCE_FILE_ID);
}

/* Neighbour discovery and answers of the router's are nobody's in particular. */
static __always_inline int drop_icmp6(struct __sk_buff *ctx, int reason, __u16 line)
{
	struct drop_site site = { .direction = METRIC_EGRESS };

	return drop_packet_at(ctx, &site, reason, line, SOURCE_FILE_ID);
}

SEC("tc")
int tail_handle_arp(struct __sk_buff *ctx)
{
	return arp_respond(ctx);
}

SEC("tc")
int tail_icmp6_handle_ns(struct __sk_buff *ctx)
{
	int ret = icmp6_handle_ns(ctx);

	return IS_ERR(ret) ? drop_icmp6(ctx, ret, __LINE__) : ret;
}

SEC("tc")
int tail_icmp6_send_time_exceeded(struct __sk_buff *ctx)
{
	int ret = icmp6_send_time_exceeded(ctx);

	return IS_ERR(ret) ? drop_icmp6(ctx, ret, __LINE__) : ret;
}

SEC("tc")
int tail_no_service_ipv4(struct __sk_buff *ctx)
{
	int ret = icmp4_no_service(ctx);

	return IS_ERR(ret) ? drop_from_container(ctx, UNKNOWN_ID, ret, 0, __LINE__) : ret;
}

SEC("tc")
int tail_no_service_ipv6(struct __sk_buff *ctx)
{
	int ret = icmp6_no_service(ctx);

	return IS_ERR(ret) ? drop_from_container(ctx, UNKNOWN_ID, ret, 0, __LINE__) : ret;
}

/* The way out. */

SEC("tc")
int tail_handle_ipv4(struct __sk_buff *ctx)
{
	__s8 ext_err = 0;
	int ret = ipv4_from_container(ctx, &ext_err);

	return IS_ERR(ret) ? drop_from_container(ctx, UNKNOWN_ID, ret, ext_err, __LINE__) : ret;
}

SEC("tc")
int tail_handle_ipv6(struct __sk_buff *ctx)
{
	__s8 ext_err = 0;
	int ret = ipv6_from_container(ctx, &ext_err);

	return IS_ERR(ret) ? drop_from_container(ctx, UNKNOWN_ID, ret, ext_err, __LINE__) : ret;
}

SEC("tc")
int tail_ipv4_ct_egress(struct __sk_buff *ctx)
{
	__s8 ext_err = 0;
	int ret = ct_from_container(ctx, false, &ext_err);

	return IS_ERR(ret) ? drop_from_container(ctx, UNKNOWN_ID, ret, ext_err, __LINE__) : ret;
}

SEC("tc")
int tail_ipv6_ct_egress(struct __sk_buff *ctx)
{
	__s8 ext_err = 0;
	int ret = ct_from_container(ctx, true, &ext_err);

	return IS_ERR(ret) ? drop_from_container(ctx, UNKNOWN_ID, ret, ext_err, __LINE__) : ret;
}

SEC("tc")
int tail_handle_ipv4_cont(struct __sk_buff *ctx)
{
	__u32 dst_label = UNKNOWN_ID;
	__s8 ext_err = 0;
	int ret = forward_from_container(ctx, false, &dst_label, &ext_err);

	return IS_ERR(ret) ? drop_from_container(ctx, dst_label, ret, ext_err, __LINE__) : ret;
}

SEC("tc")
int tail_handle_ipv6_cont(struct __sk_buff *ctx)
{
	__u32 dst_label = UNKNOWN_ID;
	__s8 ext_err = 0;
	int ret = forward_from_container(ctx, true, &dst_label, &ext_err);

	return IS_ERR(ret) ? drop_from_container(ctx, dst_label, ret, ext_err, __LINE__) : ret;
}

SEC("tc")
int cil_from_container(struct __sk_buff *ctx)
{
	struct trace_site site = {
		.point = TRACE_FROM_LXC,
		.reason = TRACE_REASON_UNKNOWN,
		.src_label = security_label,
		.monitor = trace_payload_len,
	};
	__s8 ext_err = 0;
	__be16 proto;
	int ret;

	ctx_clear_cb(ctx);
	/*
	 * veth leaves its receive queue here, which would pin all traffic to one queue of the next
	 * device.
	 */
	ctx->queue_mapping = 0;
	trace_packet(ctx, &site);

	if (!validate_ethertype(ctx, &proto))
		ret = DROP_UNSUPPORTED_L2;
	else if (enable_ipv4 && proto == bpf_htons(ETH_P_IP))
		ret = tail_call_internal(ctx, CILIUM_CALL_IPV4_FROM_LXC, &ext_err);
	else if (enable_ipv6 && proto == bpf_htons(ETH_P_IPV6))
		ret = tail_call_internal(ctx, CILIUM_CALL_IPV6_FROM_LXC, &ext_err);
	else if (enable_ipv4 && proto == bpf_htons(ETH_P_ARP))
		ret = enable_arp_responder ? tail_call_internal(ctx, CILIUM_CALL_ARP, &ext_err)
					   : TC_ACT_OK;
	else
		ret = DROP_UNKNOWN_L3;

	return IS_ERR(ret) ? drop_from_container(ctx, UNKNOWN_ID, ret, ext_err, __LINE__) : ret;
}

/* The way in. */

SEC("tc")
int tail_ipv4_to_endpoint(struct __sk_buff *ctx)
{
	__u32 src_label = ctx_load_and_clear(ctx, CB_SRC_LABEL);
	__s8 ext_err = 0;
	int ret = deliver_to_container(ctx, false, &src_label, &ext_err);

	return IS_ERR(ret) ? drop_to_container(ctx, src_label, ret, ext_err, __LINE__) : ret;
}

SEC("tc")
int tail_ipv6_to_endpoint(struct __sk_buff *ctx)
{
	__u32 src_label = ctx_load_and_clear(ctx, CB_SRC_LABEL);
	__s8 ext_err = 0;
	int ret = deliver_to_container(ctx, true, &src_label, &ext_err);

	return IS_ERR(ret) ? drop_to_container(ctx, src_label, ret, ext_err, __LINE__) : ret;
}

SEC("tc")
int tail_ipv4_ct_ingress(struct __sk_buff *ctx)
{
	__s8 ext_err = 0;
	int ret = ct_to_container(ctx, false);

	if (!IS_ERR(ret))
		ret = tail_call_internal(ctx, CILIUM_CALL_IPV4_TO_ENDPOINT, &ext_err);
	return drop_to_container(ctx, ctx_load(ctx, CB_SRC_LABEL), ret, ext_err, __LINE__);
}

SEC("tc")
int tail_ipv6_ct_ingress(struct __sk_buff *ctx)
{
	__s8 ext_err = 0;
	int ret = ct_to_container(ctx, true);

	if (!IS_ERR(ret))
		ret = tail_call_internal(ctx, CILIUM_CALL_IPV6_TO_ENDPOINT, &ext_err);
	return drop_to_container(ctx, ctx_load(ctx, CB_SRC_LABEL), ret, ext_err, __LINE__);
}

SEC("tc")
int cil_lxc_policy(struct __sk_buff *ctx)
{
	__s8 ext_err = 0;
	__be16 proto;
	int ret;

	if (!validate_ethertype(ctx, &proto))
		ret = DROP_UNSUPPORTED_L2;
	else if (enable_ipv4 && proto == bpf_htons(ETH_P_IP))
		ret = tail_call_internal(ctx, CILIUM_CALL_IPV4_CT_INGRESS, &ext_err);
	else if (enable_ipv6 && proto == bpf_htons(ETH_P_IPV6))
		ret = tail_call_internal(ctx, CILIUM_CALL_IPV6_CT_INGRESS, &ext_err);
	else
		ret = DROP_UNKNOWN_L3;

	return drop_to_container(ctx, ctx_load(ctx, CB_SRC_LABEL), ret, ext_err, __LINE__);
}

SEC("tc")
int cil_to_container(struct __sk_buff *ctx)
{
	struct trace_site site = {
		.point = TRACE_FROM_STACK,
		.reason = TRACE_REASON_UNKNOWN,
		.dst_label = security_label,
		.dst_id = endpoint_id,
		.ifindex = ctx->ingress_ifindex,
		.monitor = trace_payload_len,
	};
	__u32 magic, identity = UNKNOWN_ID;
	__s8 ext_err = 0;
	__be16 proto;
	int ret;

	if (!validate_ethertype(ctx, &proto))
		return drop_to_container(ctx, identity, DROP_UNSUPPORTED_L2, 0, __LINE__);

	ctx_clear_cb(ctx);
	magic = inherit_identity_from_host(ctx, proto, &identity);
	if (magic == MARK_MAGIC_PROXY_INGRESS || magic == MARK_MAGIC_PROXY_EGRESS)
		site.point = TRACE_FROM_PROXY;
	site.src_label = identity;
	trace_packet(ctx, &site);

	if (proto != bpf_htons(ETH_P_ARP)) {
		ctx_store(ctx, CB_SRC_LABEL, identity);
		ctx_store(ctx, CB_DELIVERY, DELIVERY_INTERFACE);
	}
	if (enable_ipv4 && proto == bpf_htons(ETH_P_IP))
		ret = tail_call_internal(ctx, CILIUM_CALL_IPV4_CT_INGRESS, &ext_err);
	else if (enable_ipv6 && proto == bpf_htons(ETH_P_IPV6))
		ret = tail_call_internal(ctx, CILIUM_CALL_IPV6_CT_INGRESS, &ext_err);
	else if (enable_ipv4 && proto == bpf_htons(ETH_P_ARP))
		ret = TC_ACT_OK;
	else
		ret = DROP_UNKNOWN_L3;

	return IS_ERR(ret) ? drop_to_container(ctx, identity, ret, ext_err, __LINE__) : ret;
}

struct cilium_calls cilium_calls SEC(".maps") = {
	.values = {
		[CILIUM_CALL_HANDLE_ICMP6_NS] = &tail_icmp6_handle_ns,
		[CILIUM_CALL_SEND_ICMP6_TIME_EXCEEDED] = &tail_icmp6_send_time_exceeded,
		[CILIUM_CALL_ARP] = &tail_handle_arp,
		[CILIUM_CALL_IPV4_FROM_LXC] = &tail_handle_ipv4,
		[CILIUM_CALL_IPV6_FROM_LXC] = &tail_handle_ipv6,
		[CILIUM_CALL_IPV4_TO_ENDPOINT] = &tail_ipv4_to_endpoint,
		[CILIUM_CALL_IPV6_TO_ENDPOINT] = &tail_ipv6_to_endpoint,
		[CILIUM_CALL_IPV4_FROM_LXC_CONT] = &tail_handle_ipv4_cont,
		[CILIUM_CALL_IPV6_FROM_LXC_CONT] = &tail_handle_ipv6_cont,
		[CILIUM_CALL_IPV4_CT_INGRESS] = &tail_ipv4_ct_ingress,
		[CILIUM_CALL_IPV4_CT_EGRESS] = &tail_ipv4_ct_egress,
		[CILIUM_CALL_IPV6_CT_INGRESS] = &tail_ipv6_ct_ingress,
		[CILIUM_CALL_IPV6_CT_EGRESS] = &tail_ipv6_ct_egress,
		[CILIUM_CALL_IPV4_NO_SERVICE] = &tail_no_service_ipv4,
		[CILIUM_CALL_IPV6_NO_SERVICE] = &tail_no_service_ipv6,
	},
};

char _license[] SEC("license") = "Dual BSD/GPL";
