/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Connections: tuple -> state.
 *
 * In the key of a connection daddr is the side that opened it, saddr the other, while dport is the
 * port that it opened and sport its own: addresses and ports stand crosswise. TUPLE_F_OUT entries
 * were made where the connection left an endpoint, TUPLE_F_IN ones where it entered. Service
 * entries have the packet's own order of addresses.
 */
#pragma once

#include <linux/in.h>
#include <linux/in6.h>

#include "config.h"
#include "packet.h"

enum {
	TUPLE_F_OUT = 0,
	TUPLE_F_IN = 1,
	TUPLE_F_RELATED = 2,
	TUPLE_F_SERVICE = 4,
};

struct ipv4_ct_tuple {
	__be32 daddr;
	__be32 saddr;
	__be16 dport;
	__be16 sport;
	__u8 nexthdr;
	__u8 flags;
} __packed;

struct ipv6_ct_tuple {
	union v6addr daddr;
	union v6addr saddr;
	__be16 dport;
	__be16 sport;
	__u8 nexthdr;
	__u8 flags;
} __packed;

/* Where a tuple is known to be aligned, it is not put together byte by byte. */
typedef struct ipv4_ct_tuple aligned_ipv4_ct_tuple __attribute__((aligned(8)));
typedef struct ipv6_ct_tuple aligned_ipv6_ct_tuple __attribute__((aligned(8)));

struct ct_entry {
	__u64 reserved0;
	__u64 backend_id;
	__u64 packets;
	__u64 bytes;
	__u32 lifetime;
	__u16 rx_closing : 1, tx_closing : 1, reserved1 : 1, lb_loopback : 1, seen_non_syn : 1,
		node_port : 1, proxy_redirect : 1, dsr_internal : 1, from_l7lb : 1, reserved2 : 1,
		from_tunnel : 1, reserved3 : 5;
	__u16 rev_nat_index;
	__u16 reserved4;
	__u8 tx_flags_seen;
	__u8 rx_flags_seen;
	__u32 src_sec_id;
	__u32 last_tx_report;
	__u32 last_rx_report;
};

_Static_assert(sizeof(struct ipv4_ct_tuple) == 14, "ipv4_ct_tuple");
_Static_assert(sizeof(struct ipv6_ct_tuple) == 38, "ipv6_ct_tuple");
_Static_assert(sizeof(struct ct_entry) == 56, "ct_entry");

#define CT_MAP(map_name, key_type, entries)          \
	struct {                                     \
		__uint(type, BPF_MAP_TYPE_LRU_HASH); \
		__type(key, struct key_type);        \
		__type(value, struct ct_entry);      \
		__uint(pinning, LIBBPF_PIN_BY_NAME); \
		__uint(max_entries, entries);        \
	} map_name SEC(".maps")

/* tuple -> connection: TCP in one map, everything else in another */
CT_MAP(cilium_ct4_global, ipv4_ct_tuple, 65536);
CT_MAP(cilium_ct_any4_global, ipv4_ct_tuple, 32768);
CT_MAP(cilium_ct6_global, ipv6_ct_tuple, 65536);
CT_MAP(cilium_ct_any6_global, ipv6_ct_tuple, 32768);

/* What a lookup finds, and what a new connection is to be made of. */
struct ct_state {
	__u16 rev_nat_index;
	__u16 loopback : 1, proxy_redirect : 1, beside : 1, reserved : 13;
};

enum ct_dir {
	CT_EGRESS = 0,
	CT_INGRESS = 1,
	CT_SERVICE = 2,
};

enum ct_status {
	CT_NEW = 0,
	CT_ESTABLISHED = 1,
	CT_REPLY = 2,
	CT_RELATED = 3,
};

/*
 * Replies come first: they need no policy. After translation of a service only the forward
 * direction can match.
 */
enum ct_scope {
	CT_SCOPE_BIDIR,
	CT_SCOPE_FORWARD,
};

/*
 * What the programs of one packet tell each other beside its tuple: what its headers say, what the
 * lookup found, and to which proxy policy sends it.
 */
struct ct_packet {
	__u32 l4_off;
	struct fragment fragment;
	__u8 tcp_flags;
	__u8 pad;
	__be16 proxy_port;
	__s32 status;
	__u32 monitor;
	struct ct_state state;
	__u32 pad2;
};

struct ct_buffer4 {
	struct ct_packet packet;
	aligned_ipv4_ct_tuple tuple;
} __attribute__((aligned(8)));

struct ct_buffer6 {
	struct ct_packet packet;
	aligned_ipv6_ct_tuple tuple;
} __attribute__((aligned(8)));

_Static_assert(sizeof(struct ct_packet) == 32, "ct_packet");
_Static_assert(sizeof(struct ct_buffer4) == 48, "ct_buffer4");
_Static_assert(sizeof(struct ct_buffer6) == 72, "ct_buffer6");

/* 0 -> the IPv4 packet in hand on this CPU */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct ct_buffer4);
	__uint(max_entries, 1);
} cilium_tail_call_buffer4 SEC(".maps");

/* 0 -> the IPv6 packet in hand on this CPU */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct ct_buffer6);
	__uint(max_entries, 1);
} cilium_tail_call_buffer6 SEC(".maps");

/*
 * Code that is the same for both families works on this union and a constant that tells which
 * member holds; the compiler makes two functions of it.
 */
union ct_buffer {
	struct ct_packet packet;
	struct ct_buffer4 v4;
	struct ct_buffer6 v6;
};

/*
 * NULL for IPv6 where it is off, so that little is left to verify of the functions that begin with
 * it: before Linux 6.8 they are verified even if nobody calls them.
 */
static __always_inline union ct_buffer *ct_buffer(bool ipv6)
{
	__u32 zero = 0;

	if (ipv6 && !enable_ipv6)
		return NULL;
	if (ipv6)
		return bpf_map_lookup_elem(&cilium_tail_call_buffer6, &zero);
	return bpf_map_lookup_elem(&cilium_tail_call_buffer4, &zero);
}

static __always_inline __u8 ct_protocol(const union ct_buffer *buffer, bool ipv6)
{
	return ipv6 ? buffer->v6.tuple.nexthdr : buffer->v4.tuple.nexthdr;
}

static __always_inline __u8 ct_flags(const union ct_buffer *buffer, bool ipv6)
{
	return ipv6 ? buffer->v6.tuple.flags : buffer->v4.tuple.flags;
}

static __always_inline void ct_set_flags(union ct_buffer *buffer, bool ipv6, __u8 flags)
{
	if (ipv6)
		buffer->v6.tuple.flags = flags;
	else
		buffer->v4.tuple.flags = flags;
}

static __always_inline __be16 ct_dport(const union ct_buffer *buffer, bool ipv6)
{
	return ipv6 ? buffer->v6.tuple.dport : buffer->v4.tuple.dport;
}

static __always_inline __be16 ct_sport(const union ct_buffer *buffer, bool ipv6)
{
	return ipv6 ? buffer->v6.tuple.sport : buffer->v4.tuple.sport;
}

static __always_inline void ct_set_ports(union ct_buffer *buffer, bool ipv6, __be16 dport,
					 __be16 sport)
{
	if (ipv6) {
		buffer->v6.tuple.dport = dport;
		buffer->v6.tuple.sport = sport;
	} else {
		buffer->v4.tuple.dport = dport;
		buffer->v4.tuple.sport = sport;
	}
}

/* One without a transport header. */
static __always_inline bool ct_later_fragment(const union ct_buffer *buffer)
{
	return buffer->packet.fragment.flags & FRAGMENT_LATER;
}

/*
 * No program of this packet has filled the buffer, or the packet goes to the unspecified address.
 */
static __always_inline bool ct_tuple_unset(const union ct_buffer *buffer, bool ipv6)
{
	if (ipv6)
		return !(buffer->v6.tuple.saddr.p1 | buffer->v6.tuple.saddr.p2 |
			 buffer->v6.tuple.saddr.p3 | buffer->v6.tuple.saddr.p4);
	return !buffer->v4.tuple.saddr;
}

/* The tuple of the packets of the other direction. */
static __always_inline void ct_tuple_reverse(union ct_buffer *buffer, bool ipv6)
{
	if (ipv6) {
		aligned_ipv6_ct_tuple *tuple = &buffer->v6.tuple;
		union v6addr addr = tuple->saddr;
		__be16 port = tuple->sport;

		tuple->saddr = tuple->daddr;
		tuple->daddr = addr;
		tuple->sport = tuple->dport;
		tuple->dport = port;
		tuple->flags ^= TUPLE_F_IN;
	} else {
		aligned_ipv4_ct_tuple *tuple = &buffer->v4.tuple;
		__be32 addr = tuple->saddr;
		__be16 port = tuple->sport;

		tuple->saddr = tuple->daddr;
		tuple->daddr = addr;
		tuple->sport = tuple->dport;
		tuple->dport = port;
		tuple->flags ^= TUPLE_F_IN;
	}
}
