/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* An entry of connection tracking: its life, its ends, its flags, and what of it is reported. */
#pragma once

#include "config.h"
#include "conntrack_map.h"

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
	entry->last_rx_report = 0;
	entry->last_tx_report = 0;
}

/* Not a number of bytes: the connection begins anew, and policy has to allow it. */
#define CT_REOPENED -1

/*
 * A packet of the entry's connection, whatever it does to it; what comes after the end extends
 * nothing. Returns how many bytes of the packet are worth a trace report, or CT_REOPENED. flags: of
 * the TCP header, 0 for other protocols.
 */
__verified_alone int ct_entry_turn(struct ct_entry *entry, bool tcp, enum ct_dir dir, __u8 flags)
{
	bool alive;
	int turned = 0, worth;

	if (!entry)
		return 0;
	alive = ct_entry_alive(entry);
	entry->seen_non_syn |= tcp & alive & !(flags & TCP_SYN);
	if (flags & (TCP_FIN | TCP_RST)) {
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

static __always_inline void ct_entry_account(struct ct_entry *entry, __u32 len)
{
	if (enable_conntrack_accounting) {
		__sync_fetch_and_add(&entry->packets, 1);
		__sync_fetch_and_add(&entry->bytes, len);
	}
}

/* The same, counted, and without a call for a packet that neither opens nor closes. */
static __always_inline int ct_entry_update(struct ct_entry *entry, bool tcp, enum ct_dir dir,
					   __u8 flags, __u32 len)
{
	ct_entry_account(entry, len);
	if (unlikely((flags & (TCP_SYN | TCP_FIN | TCP_RST)) || !ct_entry_alive(entry)))
		return ct_entry_turn(entry, tcp, dir, flags);
	if (tcp && !entry->seen_non_syn)
		entry->seen_non_syn = 1;
	return ct_refresh(entry, ct_open_lifetime(tcp, dir), dir, flags);
}

static __always_inline struct ct_state ct_entry_state(const struct ct_entry *entry)
{
	return (struct ct_state){
		.rev_nat_index = entry->rev_nat_index,
		.loopback = entry->lb_loopback,
		.proxy_redirect = entry->proxy_redirect,
	};
}

/*
 * Both sides may have opened a connection between the same ports: one when the other's had ended,
 * or by a service.
 * Packets of either are replies then, and find the entry of the other. An entry beside which there
 * may be another shows no report of its own direction.
 */
static __always_inline void ct_entry_beside(struct ct_entry *entry, enum ct_dir dir)
{
	if (dir == CT_INGRESS)
		entry->last_rx_report = 0;
	else
		entry->last_tx_report = 0;
}

/* A service's packets come to its entry without a look at the other direction. */
static __always_inline bool ct_entry_alone(const struct ct_entry *entry, enum ct_dir dir)
{
	return !entry->rev_nat_index &&
	       (dir == CT_INGRESS ? entry->last_rx_report : entry->last_tx_report);
}

/*
 * A fresh entry; only the fields that the state names and the first packet's are set. beside: there
 * may be another one, see above.
 */
static __always_inline void ct_entry_init(struct ct_entry *entry, const struct ct_state *state,
					  __u32 src_label, bool tcp, enum ct_dir dir, bool beside)
{
	__u32 now = ct_now(), reported = now * !beside;

	entry->rev_nat_index = state->rev_nat_index;
	entry->lb_loopback = state->loopback;
	entry->proxy_redirect = state->proxy_redirect;
	entry->src_sec_id = src_label;
	entry->lifetime = now + ct_lifetime(entry, tcp, dir);
	if (dir == CT_INGRESS) {
		entry->rx_flags_seen = tcp ? TCP_SYN : 0;
		entry->last_rx_report = reported;
	} else {
		entry->tx_flags_seen = tcp ? TCP_SYN : 0;
		entry->last_tx_report = reported;
	}
}
