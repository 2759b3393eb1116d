/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Connection tracking: find a packet's connection, or create it. */
#pragma once

#include "config.h"
#include "conntrack_entry.h"
#include "dbg.h"
#include "drop_reasons.h"
#include "metrics.h"

/*
 * The entry of the tuple in the buffer. Each map has a call of its own, kept apart from the other:
 * where the map is a constant the kernel calls its function directly.
 */
static __always_inline struct ct_entry *ct_find(const union ct_buffer *buffer, bool ipv6, bool tcp)
{
	struct ct_entry *entry;

	if (ipv6 && tcp) {
		entry = bpf_map_lookup_elem(&cilium_ct6_global, &buffer->v6.tuple);
		barrier_var(entry);
	} else if (ipv6) {
		entry = bpf_map_lookup_elem(&cilium_ct_any6_global, &buffer->v6.tuple);
	} else if (tcp) {
		entry = bpf_map_lookup_elem(&cilium_ct4_global, &buffer->v4.tuple);
		barrier_var(entry);
	} else {
		entry = bpf_map_lookup_elem(&cilium_ct_any4_global, &buffer->v4.tuple);
	}
	return entry;
}

/*
 * Who opens a connection mostly has the higher port, and the asker's side of an echo has the only
 * one. In the tuple of a packet that is to be looked up as a reply, dport is the sender's.
 */
static __always_inline bool ct_looks_like_reply(const union ct_buffer *buffer, bool ipv6)
{
	return bpf_ntohs(ct_dport(buffer, ipv6)) <= bpf_ntohs(ct_sport(buffer, ipv6));
}

/* What a lookup needs besides the tuple: the flags of a TCP header. Fragments are counted by it. */
static __always_inline int ct_prepare(struct __sk_buff *ctx, union ct_buffer *buffer, bool ipv6,
				      enum metric_dir dir)
{
	struct ct_packet *packet = &buffer->packet;
	__u8 flags = 0;

	if (unlikely(packet->fragment.flags))
		update_metrics(ctx->len, dir, REASON_FRAG_PACKET);
	if (ct_protocol(buffer, ipv6) == IPPROTO_TCP && !ct_later_fragment(buffer) &&
	    packet_load(ctx, packet->l4_off + TCP_FLAGS_OFFSET, &flags) < 0)
		return DROP_CT_INVALID_HDR;
	packet->tcp_flags = flags;
	return 0;
}

static __always_inline enum ct_status ct_reply_status(const union ct_buffer *buffer, bool ipv6)
{
	return ct_flags(buffer, ipv6) & TUPLE_F_RELATED ? CT_RELATED : CT_REPLY;
}

/* Tell the later programs, and who debugs. */
static __always_inline void ct_found(struct __sk_buff *ctx, struct ct_packet *packet,
				     struct ct_state state, enum ct_status status, int monitor)
{
	packet->state = state;
	packet->status = status;
	packet->monitor = monitor;
	cilium_dbg(ctx, DBG_CT_VERDICT, status, state.rev_nat_index);
}

/*
 * Find the connection to which the packet is a reply, else the one that its side has opened. A SYN
 * after the end of the one may belong to the other.
 */
static __always_inline int ct_search_in_order(struct __sk_buff *ctx, bool ipv6, enum ct_dir dir,
					      enum ct_scope scope)
{
	union ct_buffer *buffer = ct_buffer(ipv6);
	struct ct_packet *packet;
	enum ct_status status;
	struct ct_entry *entry;
	bool tcp, beside = false;
	int monitor;

	if (!buffer)
		return DROP_INVALID_TC_BUFFER;
	packet = &buffer->packet;
	status = ct_reply_status(buffer, ipv6);
	tcp = ct_protocol(buffer, ipv6) == IPPROTO_TCP;
	for (int i = 0; i < 2; i++) {
		if (i == 1) {
			ct_tuple_reverse(buffer, ipv6);
			status = CT_ESTABLISHED;
		}
		entry = ct_find(buffer, ipv6, tcp);
		if (!entry)
			continue;
		if (i == 0 && scope == CT_SCOPE_FORWARD) {
			ct_entry_beside(entry, dir == CT_INGRESS ? CT_EGRESS : CT_INGRESS);
			continue;
		}
		ct_entry_account(entry, ctx->len);
		monitor = ct_entry_turn(entry, tcp, dir, packet->tcp_flags);
		if (monitor == CT_REOPENED) {
			beside |= i == 0;
			continue;
		}
		if (beside)
			ct_entry_beside(entry, dir);
		ct_found(ctx, packet, ct_entry_state(entry), status, monitor);
		return 0;
	}
	ct_found(ctx, packet, (struct ct_state){ .beside = beside }, CT_NEW, trace_payload_len);
	return 0;
}

__verified_alone int ct_search4(struct __sk_buff *ctx, enum ct_dir dir, enum ct_scope scope)
{
	return ct_search_in_order(ctx, false, dir, scope);
}

__verified_alone int ct_search6(struct __sk_buff *ctx, enum ct_dir dir, enum ct_scope scope)
{
	return ct_search_in_order(ctx, true, dir, scope);
}

static __always_inline int ct_search(struct __sk_buff *ctx, bool ipv6, enum ct_dir dir,
				     enum ct_scope scope)
{
	return ipv6 ? ct_search6(ctx, dir, scope) : ct_search4(ctx, dir, scope);
}

/*
 * Find the connection of the packet whose tuple is in the buffer; the tuple becomes the
 * connection's. What it looks like is looked up first, and mostly found. Returns 0 or a drop
 * reason.
 */
static __always_inline int ct_lookup(struct __sk_buff *ctx, union ct_buffer *buffer, bool ipv6,
				     enum ct_dir dir, enum ct_scope scope)
{
	bool tcp = ct_protocol(buffer, ipv6) == IPPROTO_TCP, reply;
	struct ct_packet *packet = &buffer->packet;
	struct ct_entry *entry;
	int ret, monitor;

	ret = ct_prepare(ctx, buffer, ipv6, dir == CT_INGRESS ? METRIC_INGRESS : METRIC_EGRESS);
	if (IS_ERR(ret))
		return ret;
	ct_set_flags(buffer, ipv6,
		     ct_flags(buffer, ipv6) | (dir == CT_EGRESS ? TUPLE_F_IN : TUPLE_F_OUT));
	if (likely(!(packet->tcp_flags & TCP_SYN))) {
		reply = scope == CT_SCOPE_BIDIR && ct_looks_like_reply(buffer, ipv6);
		if (!reply)
			ct_tuple_reverse(buffer, ipv6);
		entry = ct_find(buffer, ipv6, tcp);
		if (likely(entry &&
			   (reply || scope == CT_SCOPE_FORWARD || ct_entry_alone(entry, dir)))) {
			monitor = ct_entry_update(entry, tcp, dir, packet->tcp_flags, ctx->len);
			ct_found(ctx, packet, ct_entry_state(entry),
				 reply ? ct_reply_status(buffer, ipv6) : CT_ESTABLISHED, monitor);
			return 0;
		}
		if (!reply)
			ct_tuple_reverse(buffer, ipv6);
	}
	return ct_search(ctx, ipv6, dir, scope);
}

static __always_inline int ct_inserted(long ret, __s8 *ext_err)
{
	if (likely(ret == 0))
		return 0;
	*ext_err = (__s8)ret;
	return DROP_CT_CREATE_FAILED;
}

/* Write the entry of the tuple in the buffer. */
static __always_inline int ct_insert(const union ct_buffer *buffer, bool ipv6,
				     const struct ct_entry *entry, __s8 *ext_err)
{
	bool tcp = ct_protocol(buffer, ipv6) == IPPROTO_TCP;
	long ret;

	if (ipv6)
		ret = bpf_map_update_elem(tcp ? (void *)&cilium_ct6_global
					      : (void *)&cilium_ct_any6_global,
					  &buffer->v6.tuple, entry, BPF_ANY);
	else
		ret = bpf_map_update_elem(tcp ? (void *)&cilium_ct4_global
					      : (void *)&cilium_ct_any4_global,
					  &buffer->v4.tuple, entry, BPF_ANY);
	return ct_inserted(ret, ext_err);
}

/* The entry by which ICMP errors about a connection are known. */
static __always_inline int ct_insert_related(const union ct_buffer *buffer, bool ipv6,
					     const struct ct_entry *entry, __s8 *ext_err)
{
	if (ipv6) {
		aligned_ipv6_ct_tuple related = {
			.daddr = buffer->v6.tuple.daddr,
			.saddr = buffer->v6.tuple.saddr,
			.nexthdr = IPPROTO_ICMPV6,
			.flags = buffer->v6.tuple.flags | TUPLE_F_RELATED,
		};

		return ct_inserted(
			bpf_map_update_elem(&cilium_ct_any6_global, &related, entry, BPF_ANY),
			ext_err);
	} else {
		aligned_ipv4_ct_tuple related = {
			.daddr = buffer->v4.tuple.daddr,
			.saddr = buffer->v4.tuple.saddr,
			.nexthdr = IPPROTO_ICMP,
			.flags = buffer->v4.tuple.flags | TUPLE_F_RELATED,
		};

		return ct_inserted(
			bpf_map_update_elem(&cilium_ct_any4_global, &related, entry, BPF_ANY),
			ext_err);
	}
}

static __always_inline int ct_insert_pair(struct __sk_buff *ctx, bool ipv6, enum ct_dir dir,
					  const struct ct_state *state, __u32 src_label,
					  __s8 *ext_err)
{
	union ct_buffer *buffer = ct_buffer(ipv6);
	struct ct_entry entry = {};
	int ret;

	if (!buffer || !state || !ext_err)
		return DROP_CT_CREATE_FAILED;
	ct_entry_init(&entry, state, src_label, ct_protocol(buffer, ipv6) == IPPROTO_TCP, dir,
		      buffer->packet.state.beside);
	ret = ct_insert_related(buffer, ipv6, &entry, ext_err);
	if (IS_ERR(ret))
		return ret;
	if (enable_conntrack_accounting) {
		entry.packets = 1;
		entry.bytes = ctx->len;
	}
	return ct_insert(buffer, ipv6, &entry, ext_err);
}

__verified_alone int ct_create4(struct __sk_buff *ctx, enum ct_dir dir,
				const struct ct_state *state, __u32 src_label, __s8 *ext_err)
{
	return ct_insert_pair(ctx, false, dir, state, src_label, ext_err);
}

__verified_alone int ct_create6(struct __sk_buff *ctx, enum ct_dir dir,
				const struct ct_state *state, __u32 src_label, __s8 *ext_err)
{
	return ct_insert_pair(ctx, true, dir, state, src_label, ext_err);
}

/* Create the connection that a lookup did not find. src_label: who sends the packet. */
static __always_inline int ct_create(struct __sk_buff *ctx, bool ipv6, enum ct_dir dir,
				     const struct ct_state *state, __u32 src_label, __s8 *ext_err)
{
	return ipv6 ? ct_create6(ctx, dir, state, src_label, ext_err)
		    : ct_create4(ctx, dir, state, src_label, ext_err);
}
