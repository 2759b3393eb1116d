/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Connection tracking: find a packet's connection, keep its life and flags, create it. */
#pragma once

#include "config.h"
#include "conntrack_map.h"
#include "dbg.h"
#include "drop_reasons.h"
#include "metrics.h"

enum {
	TCP_FLAGS_OFFSET = 13,
	TCP_FIN = 0x01,
	TCP_SYN = 0x02,
	TCP_RST = 0x04,
};

/* Seconds on the clock that lifetimes are written in. */
static __always_inline __u32 ct_now(void)
{
	return bpf_ktime_get_coarse_ns() / 1000000000ULL;
}

static __always_inline bool ct_entry_alive(const struct ct_entry *entry)
{
	return !entry->rx_closing || !entry->tx_closing;
}

static __always_inline __u32 ct_open_lifetime(bool tcp, enum ct_dir dir)
{
	if (dir == CT_SERVICE)
		return tcp ? ct_service_lifetime_tcp : ct_service_lifetime_nontcp;
	return tcp ? ct_connection_lifetime_tcp : ct_connection_lifetime_nontcp;
}

static __always_inline __u32 ct_lifetime(const struct ct_entry *entry, bool tcp, enum ct_dir dir)
{
	if (!ct_entry_alive(entry))
		return ct_close_timeout;
	return tcp && !entry->seen_non_syn ? ct_syn_timeout : ct_open_lifetime(tcp, dir);
}

/*
 * Extend the entry's life and note the packet's flags. Returns how many bytes of the packet are
 * worth a trace report: none unless a flag is new or the last report of this direction is too old.
 */
static __always_inline int ct_refresh(struct ct_entry *entry, __u32 lifetime, enum ct_dir dir,
				      __u8 flags)
{
	__u8 *seen = dir == CT_INGRESS ? &entry->rx_flags_seen : &entry->tx_flags_seen;
	__u32 *last = dir == CT_INGRESS ? &entry->last_rx_report : &entry->last_tx_report;
	__u32 now = ct_now();

	/* Written once a second: the entry's cache line is shared with other CPUs. */
	if (entry->lifetime != now + lifetime)
		entry->lifetime = now + lifetime;
	flags |= *seen;
	if (flags == *seen && *last + ct_report_interval >= now)
		return 0;
	*seen = flags;
	*last = now;
	return trace_payload_len;
}

/*
 * A FIN closes one direction; an RST both, and so does a FIN of a service, whose entry only sees
 * one.
 */
static __always_inline void ct_close(struct ct_entry *entry, enum ct_dir dir, __u8 flags)
{
	bool both = (flags & TCP_RST) || dir == CT_SERVICE;

	if (both || dir == CT_INGRESS)
		entry->rx_closing = 1;
	if (both || dir == CT_EGRESS)
		entry->tx_closing = 1;
}

static __always_inline void ct_reopen(struct ct_entry *entry)
{
	entry->rx_closing = 0;
	entry->tx_closing = 0;
	entry->seen_non_syn = 0;
	entry->rx_flags_seen = 0;
	entry->tx_flags_seen = 0;
}

/* Not a number of bytes: the connection begins anew, and policy has to allow it. */
#define CT_REOPENED -1

/*
 * A packet that opens or closes its connection, or comes after the end, which extends nothing.
 * Returns the same as ct_entry_update().
 */
__verified_alone int ct_entry_turn(struct ct_entry *entry, bool tcp, enum ct_dir dir, __u8 flags)
{
	bool alive;
	int turned = 0, worth;

	if (!entry)
		return 0;
	alive = ct_entry_alive(entry);
	if (flags & (TCP_FIN | TCP_RST)) {
		if (alive && !(flags & TCP_SYN))
			entry->seen_non_syn = 1;
		ct_close(entry, dir, flags);
		turned = trace_payload_len;
	} else if ((flags & TCP_SYN) && (entry->rx_closing || entry->tx_closing)) {
		ct_reopen(entry);
		turned = CT_REOPENED;
	} else if (!alive) {
		return 0;
	}
	worth = ct_refresh(entry, ct_lifetime(entry, tcp, dir), dir, flags);
	return turned ? turned : worth;
}

/*
 * A packet of the entry's connection came by. Returns how many bytes of it are worth a trace
 * report, or CT_REOPENED. flags: of the TCP header, 0 for other protocols.
 */
static __always_inline int ct_entry_update(struct ct_entry *entry, bool tcp, enum ct_dir dir,
					   __u8 flags, __u32 len)
{
	if (enable_conntrack_accounting) {
		__sync_fetch_and_add(&entry->packets, 1);
		__sync_fetch_and_add(&entry->bytes, len);
	}
	if (unlikely((flags & (TCP_SYN | TCP_FIN | TCP_RST)) || !ct_entry_alive(entry)))
		return ct_entry_turn(entry, tcp, dir, flags);
	if (tcp && !entry->seen_non_syn)
		entry->seen_non_syn = 1;
	return ct_refresh(entry, ct_open_lifetime(tcp, dir), dir, flags);
}

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

/* Answers to DNS queries are worth reading in full. */
static __always_inline bool ct_is_dns(__be16 dport)
{
	return dport == bpf_htons(53);
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

/*
 * Look up what the packet looks like, then the other direction. The tuple becomes that of the
 * connection that was found.
 */
static __always_inline struct ct_entry *ct_search(union ct_buffer *buffer, bool ipv6, bool tcp,
						  enum ct_scope scope)
{
	struct ct_entry *entry;

	if (scope == CT_SCOPE_FORWARD || !ct_looks_like_reply(buffer, ipv6))
		ct_tuple_reverse(buffer, ipv6);
	entry = ct_find(buffer, ipv6, tcp);
	if (!entry && scope == CT_SCOPE_BIDIR) {
		ct_tuple_reverse(buffer, ipv6);
		entry = ct_find(buffer, ipv6, tcp);
	}
	return entry;
}

/* What the entry says of the packet; a new connection has the tuple of its own direction. */
static __always_inline enum ct_status ct_status_of(union ct_buffer *buffer, bool ipv6,
						   enum ct_dir dir, const struct ct_entry *entry)
{
	const __u8 own = dir == CT_EGRESS ? TUPLE_F_OUT : TUPLE_F_IN;
	__u8 flags = ct_flags(buffer, ipv6);

	if (!entry) {
		if ((flags & TUPLE_F_IN) != own)
			ct_tuple_reverse(buffer, ipv6);
		return CT_NEW;
	}
	if ((flags & TUPLE_F_IN) == own)
		return CT_ESTABLISHED;
	return flags & TUPLE_F_RELATED ? CT_RELATED : CT_REPLY;
}

/*
 * Find the connection of the packet whose tuple is in the buffer; the tuple becomes the
 * connection's. Returns 0 or a drop reason.
 */
static __always_inline int ct_lookup(struct __sk_buff *ctx, union ct_buffer *buffer, bool ipv6,
				     enum ct_dir dir, enum ct_scope scope)
{
	bool tcp = ct_protocol(buffer, ipv6) == IPPROTO_TCP;
	struct ct_packet *packet = &buffer->packet;
	struct ct_state state = {};
	struct ct_entry *entry;
	int monitor = CT_REOPENED, ret;

	ret = ct_prepare(ctx, buffer, ipv6, dir == CT_INGRESS ? METRIC_INGRESS : METRIC_EGRESS);
	if (IS_ERR(ret))
		return ret;
	ct_set_flags(buffer, ipv6,
		     ct_flags(buffer, ipv6) | (dir == CT_EGRESS ? TUPLE_F_IN : TUPLE_F_OUT));
	entry = ct_search(buffer, ipv6, tcp, scope);
	if (entry)
		monitor = ct_entry_update(entry, tcp, dir, packet->tcp_flags, ctx->len);
	if (monitor < 0)
		entry = NULL;
	if (entry) {
		state.rev_nat_index = entry->rev_nat_index;
		state.loopback = entry->lb_loopback;
		state.proxy_redirect = entry->proxy_redirect;
	}
	packet->monitor = entry ? monitor : trace_payload_len;
	packet->state = state;
	packet->status = ct_status_of(buffer, ipv6, dir, entry);
	if (ct_is_dns(ct_dport(buffer, ipv6)))
		packet->monitor = device_mtu;
	cilium_dbg(ctx, DBG_CT_VERDICT, packet->status, packet->state.rev_nat_index);
	return 0;
}

/* A fresh entry; only the fields that the state names and the first packet's are set. */
static __always_inline void ct_entry_init(struct ct_entry *entry, const struct ct_state *state,
					  __u32 src_label, bool tcp, enum ct_dir dir)
{
	__u32 now = ct_now();

	entry->rev_nat_index = state->rev_nat_index;
	entry->lb_loopback = state->loopback;
	entry->proxy_redirect = state->proxy_redirect;
	entry->src_sec_id = src_label;
	entry->lifetime = now + ct_lifetime(entry, tcp, dir);
	if (dir == CT_INGRESS) {
		entry->rx_flags_seen = tcp ? TCP_SYN : 0;
		entry->last_rx_report = now;
	} else {
		entry->tx_flags_seen = tcp ? TCP_SYN : 0;
		entry->last_tx_report = now;
	}
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
	ct_entry_init(&entry, state, src_label, ct_protocol(buffer, ipv6) == IPPROTO_TCP, dir);
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
