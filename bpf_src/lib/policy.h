/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * The endpoint's policy: which identities may talk to it, on which ports, and which through a
 * proxy.
 *
 * Two lookups decide, each by longest prefix over protocol and port: one for the peer's identity,
 * one for any identity. A deny wins; then the higher proxy priority; then the longer prefix; then
 * the entry with an identity.
 */
#pragma once

#include <linux/icmpv6.h>
#include <linux/in.h>
#include <linux/in6.h>

#include "config.h"
#include "ctx.h"
#include "dbg.h"
#include "drop_reasons.h"
#include "icmp.h"

struct policy_key {
	struct bpf_lpm_trie_key lpm_key;
	__u32 sec_label;
	__u8 egress : 1, pad : 7;
	__u8 protocol;
	__be16 dport;
};

struct policy_entry {
	__be16 proxy_port;
	__u8 deny : 1, reserved : 2, lpm_prefix_length : 5;
	__u8 auth_type : 7, has_explicit_auth_type : 1;
	__u8 proxy_port_priority;
	__u8 pad1;
	__u16 pad2;
};

struct policy_stats_key {
	__u16 endpoint_id;
	__u8 pad1;
	__u8 prefix_len;
	__u32 sec_label;
	__u8 egress : 1, pad : 7;
	__u8 protocol;
	__be16 dport;
};

struct policy_stats_value {
	__u64 packets;
	__u64 bytes;
};

_Static_assert(sizeof(struct policy_key) == 12, "policy_key");
_Static_assert(sizeof(struct policy_entry) == 8, "policy_entry");
_Static_assert(sizeof(struct policy_stats_key) == 12, "policy_stats_key");

/*
 * identity, direction, protocol, port (longest prefix) -> allow, deny or proxy; one map an
 * endpoint
 */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__type(key, struct policy_key);
	__type(value, struct policy_entry);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} cilium_policy_v2 SEC(".maps");

/* endpoint and policy entry -> packets and bytes it decided, per CPU */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
	__type(key, struct policy_stats_key);
	__type(value, struct policy_stats_value);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__uint(max_entries, 4096);
	__uint(map_flags, BPF_F_NO_COMMON_LRU);
} cilium_policystats SEC(".maps");

enum {
	POLICY_FULL_PREFIX = 8 * (sizeof(struct policy_key) - sizeof(struct bpf_lpm_trie_key)),
	POLICY_PROTO_BITS = 8,
	POLICY_PORT_BITS = 24,
};

enum policy_match {
	POLICY_MATCH_NONE = 0,
	POLICY_MATCH_L3_ONLY = 1,
	POLICY_MATCH_L3_L4 = 2,
	POLICY_MATCH_L4_ONLY = 3,
	POLICY_MATCH_ALL = 4,
	POLICY_MATCH_L3_PROTO = 5,
	POLICY_MATCH_PROTO_ONLY = 6,
};

/* A packet as policy sees it; the peer is the destination on egress and the source on ingress. */
struct policy_query {
	__u32 remote_label;
	__u32 l4_off;
	__be16 dport;
	__u8 protocol;
	bool egress;
	bool ipv6;
	bool later_fragment;
	__u8 pad[2];
};

/* code: TC_ACT_OK or a drop reason. auth_type: what the peers must have authenticated by. */
struct policy_verdict {
	int code;
	__be16 proxy_port;
	__u8 match_type;
	__u8 auth_type;
	__u8 audited;
	__u8 pad[3];
};

static __always_inline void policy_account(const struct policy_query *query, __u32 label,
					   __u8 prefix_len, __u64 bytes)
{
	struct policy_stats_key key = {
		.endpoint_id = endpoint_id,
		.prefix_len = prefix_len,
		.sec_label = label,
		.egress = query->egress,
	};
	struct policy_stats_value first = { 1, bytes }, *value;

	/* The key of the entry that matched: what its prefix does not cover is zero. */
	if (prefix_len >= POLICY_PROTO_BITS) {
		key.protocol = query->protocol;
		key.dport = query->dport &
			    bpf_htons((__u16)(0xffff << (POLICY_PORT_BITS - prefix_len)));
	}

	value = bpf_map_lookup_elem(&cilium_policystats, &key);
	if (likely(value)) {
		value->packets++;
		value->bytes += bytes;
		return;
	}
	bpf_map_update_elem(&cilium_policystats, &key, &first, BPF_NOEXIST);
}

/*
 * An ICMP message is matched by its type in place of the port. Returns 0, TC_ACT_OK through *pass
 * when the message may pass whatever the policy, or a drop reason.
 */
static __always_inline int policy_icmp_port(struct __sk_buff *ctx, const struct policy_query *query,
					    __be16 *dport, bool *pass)
{
	const __u8 request = query->ipv6 ? ICMPV6_ECHO_REQUEST : ICMP_ECHO;
	const __u8 reply = query->ipv6 ? ICMPV6_ECHO_REPLY : ICMP_ECHOREPLY;
	bool icmp = query->protocol == (query->ipv6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	__u8 type;

	if (!icmp)
		return 0;
	if (unlikely(query->later_fragment)) {
		/* Only echoes get here; the side that asks has its identifier in the other port. */
		type = query->dport ? reply : request;
	} else if (query->ipv6) {
		if (!enable_icmp_rule)
			return 0;
		if (bpf_skb_load_bytes(ctx, query->l4_off, &type, sizeof(type)) < 0)
			return DROP_INVALID;
	} else {
		struct icmphdr icmp;

		if (!enable_icmp_rule && !allow_icmp_frag_needed)
			return 0;
		if (bpf_skb_load_bytes(ctx, query->l4_off, &icmp, sizeof(icmp)) < 0)
			return DROP_INVALID;
		if (allow_icmp_frag_needed && icmp.type == ICMP_DEST_UNREACH &&
		    icmp.code == ICMP_FRAG_NEEDED) {
			*pass = true;
			return 0;
		}
		type = icmp.type;
	}
	if (enable_icmp_rule)
		*dport = bpf_htons(type);
	return 0;
}

/* Of the entry for the peer and the entry for anyone, does the second decide? */
static __always_inline bool policy_wildcard_decides(const struct policy_entry *peer,
						    const struct policy_entry *any)
{
	if (!any)
		return false;
	if (!peer || any->deny)
		return true;
	if (any->proxy_port_priority != peer->proxy_port_priority)
		return any->proxy_port_priority > peer->proxy_port_priority;
	return any->lpm_prefix_length > peer->lpm_prefix_length;
}

static __always_inline __u8 policy_match_type(bool wildcard, __u8 prefix_len)
{
	if (prefix_len > POLICY_PROTO_BITS)
		return wildcard ? POLICY_MATCH_L4_ONLY : POLICY_MATCH_L3_L4;
	if (prefix_len)
		return wildcard ? POLICY_MATCH_PROTO_ONLY : POLICY_MATCH_L3_PROTO;
	return wildcard ? POLICY_MATCH_ALL : POLICY_MATCH_L3_ONLY;
}

/*
 * What the entry says. The other entry's demand to authenticate holds unless this one has its own.
 */
static __always_inline void policy_apply(struct policy_verdict *verdict,
					 const struct policy_entry *entry,
					 const struct policy_entry *other)
{
	if (unlikely(entry->deny)) {
		verdict->code = DROP_POLICY_DENY;
		return;
	}
	verdict->proxy_port = entry->proxy_port;
	verdict->auth_type = entry->auth_type;
	if (other && !entry->has_explicit_auth_type && other->auth_type > verdict->auth_type)
		verdict->auth_type = other->auth_type;
	verdict->code = verdict->auth_type ? DROP_POLICY_AUTH_REQUIRED : TC_ACT_OK;
}

static __always_inline void policy_check(struct __sk_buff *ctx, const struct policy_query *query,
					 struct policy_verdict *verdict)
{
	const struct policy_entry *peer, *any = NULL;
	bool wildcard, enforced, pass = false;
	struct policy_key key = {
		.lpm_key = { .prefixlen = POLICY_FULL_PREFIX },
		.sec_label = query->remote_label,
		.egress = query->egress,
		.protocol = query->protocol,
		.dport = query->dport,
	};

	verdict->code = policy_icmp_port(ctx, query, &key.dport, &pass);
	if (IS_ERR(verdict->code) || pass)
		return;

	peer = bpf_map_lookup_elem(&cilium_policy_v2, &key);
	if (!peer || !peer->deny) {
		key.sec_label = 0;
		any = bpf_map_lookup_elem(&cilium_policy_v2, &key);
	}

	wildcard = policy_wildcard_decides(peer, any);
	if (wildcard || peer) {
		const struct policy_entry *entry = wildcard ? any : peer;
		__u8 prefix_len = entry->lpm_prefix_length;

		if (enable_policy_accounting)
			policy_account(query, wildcard ? 0 : query->remote_label, prefix_len,
				       ctx->len);
		verdict->match_type = policy_match_type(wildcard, prefix_len);
		policy_apply(verdict, entry, wildcard ? peer : any);
		return;
	}

	enforced = query->egress ? enforce_egress : enforce_ingress;
	verdict->code = enforced ? DROP_POLICY : TC_ACT_OK;
}

static __always_inline void policy_decide(struct __sk_buff *ctx, const struct policy_query *query,
					  struct policy_verdict *verdict)
{
	policy_check(ctx, query, verdict);
	if (IS_ERR(verdict->code))
		cilium_dbg(ctx, DBG_POLICY_DENIED,
			   query->egress ? security_label : query->remote_label,
			   query->egress ? query->remote_label : security_label);
	if (policy_audit_mode && IS_ERR(verdict->code)) {
		verdict->code = TC_ACT_OK;
		verdict->auth_type = 0;
		verdict->audited = 1;
	}
}
