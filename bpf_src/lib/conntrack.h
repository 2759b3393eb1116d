/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Connection tracking: find a packet's connection, keep its life and flags, create it. */
#pragma once

#include "config.h"
#include "conntrack_map.h"
#include "dbg.h"
#include "drop_reasons.h"

enum {
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

static __always_inline __u32 ct_lifetime(const struct ct_entry *entry, bool tcp, enum ct_dir dir)
{
	if (!tcp)
		return dir == CT_SERVICE ? ct_service_lifetime_nontcp
					 : ct_connection_lifetime_nontcp;
	if (!entry->seen_non_syn)
		return ct_syn_timeout;
	return dir == CT_SERVICE ? ct_service_lifetime_tcp : ct_connection_lifetime_tcp;
}

/*
 * Extend the entry's life and note the packet's flags. Returns how many bytes of the packet are
 * worth a trace report: none unless a flag is new or the last report of this direction is too old.
 */
static __always_inline __u32 ct_refresh(struct ct_entry *entry, __u32 lifetime, enum ct_dir dir,
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
	if (!ct_entry_alive(entry))
		ct_refresh(entry, ct_close_timeout, dir, flags);
}

static __always_inline void ct_reopen(struct ct_entry *entry, enum ct_dir dir, __u8 flags)
{
	entry->rx_closing = 0;
	entry->tx_closing = 0;
	entry->seen_non_syn = 0;
	entry->rx_flags_seen = 0;
	entry->tx_flags_seen = 0;
	ct_refresh(entry, ct_syn_timeout, dir, flags);
}

/*
 * Look one tuple up. A SYN on a connection that is closing opens it again, as a new one that
 * policy has to allow. flags: of the TCP header, 0 for other protocols.
 */
static __always_inline enum ct_status ct_lookup_entry(void *map, const void *tuple, bool tcp,
						      enum ct_dir dir, __u8 flags, __u32 len,
						      struct ct_result *result)
{
	struct ct_entry *entry = bpf_map_lookup_elem(map, tuple);

	result->monitor = trace_payload_len;
	if (!entry)
		return CT_NEW;

	if (ct_entry_alive(entry)) {
		if (tcp && !(flags & TCP_SYN) && !entry->seen_non_syn)
			entry->seen_non_syn = 1;
		result->monitor = ct_refresh(entry, ct_lifetime(entry, tcp, dir), dir, flags);
	} else {
		result->monitor = 0;
	}
	if (enable_conntrack_accounting) {
		__sync_fetch_and_add(&entry->packets, 1);
		__sync_fetch_and_add(&entry->bytes, len);
	}
	if (tcp && unlikely(flags & (TCP_SYN | TCP_FIN | TCP_RST))) {
		if (flags & (TCP_FIN | TCP_RST)) {
			ct_close(entry, dir, flags);
			result->monitor = trace_payload_len;
		} else if (entry->rx_closing || entry->tx_closing) {
			ct_reopen(entry, dir, flags);
			result->monitor = trace_payload_len;
			return CT_NEW;
		}
	}

	result->state.rev_nat_index = entry->rev_nat_index;
	result->state.loopback = entry->lb_loopback;
	result->state.proxy_redirect = entry->proxy_redirect;
	result->state.from_l7lb = entry->from_l7lb;
	result->state.backend_id = dir == CT_SERVICE ? entry->backend_id : 0;
	return CT_ESTABLISHED;
}

/* A fresh entry; only the fields that the state names and the first packet's are set. */
static __always_inline void ct_entry_init(struct ct_entry *entry, const struct ct_state *state,
					  bool tcp, enum ct_dir dir)
{
	__u32 now = ct_now();

	entry->rev_nat_index = state->rev_nat_index;
	entry->lb_loopback = state->loopback;
	entry->proxy_redirect = state->proxy_redirect;
	entry->from_l7lb = state->from_l7lb;
	entry->from_tunnel = state->from_tunnel;
	entry->src_sec_id = state->src_sec_id;
	if (dir == CT_SERVICE)
		entry->backend_id = state->backend_id;

	entry->lifetime = now + ct_lifetime(entry, tcp, dir);
	if (dir == CT_INGRESS) {
		entry->rx_flags_seen = tcp ? TCP_SYN : 0;
		entry->last_rx_report = now;
	} else {
		entry->tx_flags_seen = tcp ? TCP_SYN : 0;
		entry->last_tx_report = now;
	}
}

static __always_inline int ct_insert(void *map, const void *tuple, const struct ct_entry *entry,
				     __s8 *ext_err)
{
	long ret = bpf_map_update_elem(map, tuple, entry, BPF_ANY);

	if (likely(ret == 0))
		return 0;
	*ext_err = (__s8)ret;
	return DROP_CT_CREATE_FAILED;
}

/* Answers to DNS queries are worth reading in full. */
static __always_inline bool ct_is_dns(__be16 dport)
{
	return dport == bpf_htons(53);
}

static __always_inline void ct_tuple_reverse(union ct_buffer *buffer, bool ipv6)
{
	__be16 port;

	if (ipv6) {
		union v6addr addr = buffer->v6.tuple.saddr;

		port = buffer->v6.tuple.sport;
		buffer->v6.tuple.saddr = buffer->v6.tuple.daddr;
		buffer->v6.tuple.daddr = addr;
		buffer->v6.tuple.sport = buffer->v6.tuple.dport;
		buffer->v6.tuple.dport = port;
		buffer->v6.tuple.flags ^= TUPLE_F_IN;
	} else {
		__be32 addr = buffer->v4.tuple.saddr;

		port = buffer->v4.tuple.sport;
		buffer->v4.tuple.saddr = buffer->v4.tuple.daddr;
		buffer->v4.tuple.daddr = addr;
		buffer->v4.tuple.sport = buffer->v4.tuple.dport;
		buffer->v4.tuple.dport = port;
		buffer->v4.tuple.flags ^= TUPLE_F_IN;
	}
}

static __always_inline void ct_tuple_set_flags(union ct_buffer *buffer, bool ipv6, __u8 flags)
{
	if (ipv6)
		buffer->v6.tuple.flags |= flags;
	else
		buffer->v4.tuple.flags |= flags;
}

static __always_inline void ct_tuple_clear_flags(union ct_buffer *buffer, bool ipv6, __u8 flags)
{
	if (ipv6)
		buffer->v6.tuple.flags &= ~flags;
	else
		buffer->v4.tuple.flags &= ~flags;
}

static __always_inline enum ct_status ct_lookup_in(void *map, bool tcp, union ct_buffer *buffer,
						   bool ipv6, enum ct_dir dir, enum ct_scope scope,
						   __u32 len)
{
	struct ct_result *result = ct_result(buffer, ipv6);
	__u8 flags = tcp ? ct_tcp_flags(buffer, ipv6) : 0;
	const void *tuple = ct_tuple(buffer, ipv6);

	if (scope == CT_SCOPE_BIDIR &&
	    ct_lookup_entry(map, tuple, tcp, dir, flags, len, result) != CT_NEW)
		return ct_flags(buffer, ipv6) & TUPLE_F_RELATED ? CT_RELATED : CT_REPLY;
	ct_tuple_reverse(buffer, ipv6);
	return ct_lookup_entry(map, tuple, tcp, dir, flags, len, result);
}

/*
 * Find the connection of the packet whose tuple is in the buffer; the tuple becomes the
 * connection's.
 */
static __always_inline void ct_lookup(struct __sk_buff *ctx, union ct_buffer *buffer, bool ipv6,
				      enum ct_dir dir, enum ct_scope scope)
{
	void *tcp_map = ipv6 ? (void *)&cilium_ct6_global : (void *)&cilium_ct4_global;
	void *any_map = ipv6 ? (void *)&cilium_ct_any6_global : (void *)&cilium_ct_any4_global;
	struct ct_result *result = ct_result(buffer, ipv6);

	__builtin_memset(&result->state, 0, sizeof(result->state));
	ct_tuple_set_flags(buffer, ipv6, dir == CT_EGRESS ? TUPLE_F_IN : TUPLE_F_OUT);
	if (ct_protocol(buffer, ipv6) == IPPROTO_TCP)
		result->ret = ct_lookup_in(tcp_map, true, buffer, ipv6, dir, scope, ctx->len);
	else
		result->ret = ct_lookup_in(any_map, false, buffer, ipv6, dir, scope, ctx->len);
	if (ct_is_dns(ct_dport(buffer, ipv6)))
		result->monitor = device_mtu;
	cilium_dbg(ctx, DBG_CT_VERDICT, result->ret, result->state.rev_nat_index);
}

/* The entry by which ICMP errors about a connection are known. */
static __always_inline int ct_create_related(const union ct_buffer *buffer, bool ipv6,
					     const struct ct_entry *entry, __s8 *ext_err)
{
	if (ipv6) {
		struct ipv6_ct_tuple related = {
			.daddr = buffer->v6.tuple.daddr,
			.saddr = buffer->v6.tuple.saddr,
			.nexthdr = IPPROTO_ICMPV6,
			.flags = buffer->v6.tuple.flags | TUPLE_F_RELATED,
		};

		return ct_insert(&cilium_ct_any6_global, &related, entry, ext_err);
	} else {
		struct ipv4_ct_tuple related = {
			.daddr = buffer->v4.tuple.daddr,
			.saddr = buffer->v4.tuple.saddr,
			.nexthdr = IPPROTO_ICMP,
			.flags = buffer->v4.tuple.flags | TUPLE_F_RELATED,
		};

		return ct_insert(&cilium_ct_any4_global, &related, entry, ext_err);
	}
}

/* Before Linux 6.3 a key cannot lie behind a pointer that a function was given: it is copied. */
static __always_inline int ct_insert_main(const union ct_buffer *buffer, bool ipv6,
					  const struct ct_entry *entry, __s8 *ext_err)
{
	bool tcp = ct_protocol(buffer, ipv6) == IPPROTO_TCP;

	if (ipv6) {
		struct ipv6_ct_tuple tuple = buffer->v6.tuple;

		return tcp ? ct_insert(&cilium_ct6_global, &tuple, entry, ext_err)
			   : ct_insert(&cilium_ct_any6_global, &tuple, entry, ext_err);
	} else {
		struct ipv4_ct_tuple tuple = buffer->v4.tuple;

		return tcp ? ct_insert(&cilium_ct4_global, &tuple, entry, ext_err)
			   : ct_insert(&cilium_ct_any4_global, &tuple, entry, ext_err);
	}
}

static __always_inline int ct_insert_pair(struct __sk_buff *ctx, const union ct_buffer *buffer,
					  bool ipv6, enum ct_dir dir, const struct ct_state *state,
					  __s8 *ext_err)
{
	struct ct_entry entry = {};
	int ret;

	ct_entry_init(&entry, state, ct_protocol(buffer, ipv6) == IPPROTO_TCP, dir);
	ret = ct_create_related(buffer, ipv6, &entry, ext_err);
	if (IS_ERR(ret))
		return ret;
	if (enable_conntrack_accounting) {
		entry.packets = 1;
		entry.bytes = ctx->len;
	}
	return ct_insert_main(buffer, ipv6, &entry, ext_err);
}

__verified_alone int ct_create4(struct __sk_buff *ctx, const struct ct_buffer4 *buffer,
				enum ct_dir dir, const struct ct_state *state, __s8 *ext_err)
{
	if (!buffer || !state || !ext_err)
		return DROP_CT_CREATE_FAILED;
	return ct_insert_pair(ctx, (const union ct_buffer *)buffer, false, dir, state, ext_err);
}

__verified_alone int ct_create6(struct __sk_buff *ctx, const struct ct_buffer6 *buffer,
				enum ct_dir dir, const struct ct_state *state, __s8 *ext_err)
{
	if (!buffer || !state || !ext_err)
		return DROP_CT_CREATE_FAILED;
	return ct_insert_pair(ctx, (const union ct_buffer *)buffer, true, dir, state, ext_err);
}

/* Create the connection that a lookup did not find. */
static __always_inline int ct_create(struct __sk_buff *ctx, const union ct_buffer *buffer,
				     bool ipv6, enum ct_dir dir, const struct ct_state *state,
				     __s8 *ext_err)
{
	return ipv6 ? ct_create6(ctx, &buffer->v6, dir, state, ext_err)
		    : ct_create4(ctx, &buffer->v4, dir, state, ext_err);
}
