/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* May the packet in the buffer pass? The endpoint's policy decides, and who must authenticate. */
#pragma once

#include "auth.h"
#include "conntrack_map.h"
#include "ipcache.h"
#include "policy.h"
#include "policy_log.h"

/* Have the peers done what the verdict asks for? A sender at an unknown address cannot have. */
__verified_alone int admit_authenticated(bool ipv6, bool egress, __u32 peer_label,
					 const union v6addr *peer, struct policy_verdict *verdict)
{
	const struct remote_endpoint_info *remote;

	if (!peer || !verdict)
		return 0;
	remote = ipcache_lookup(peer, ipv6);
	if (remote || egress)
		verdict->code = auth_lookup(security_label, peer_label, remote, verdict->auth_type);
	else
		verdict->auth_type = 0;
	return 0;
}

static __always_inline int admit_packet(struct __sk_buff *ctx, bool ipv6, bool egress,
					__u32 peer_label, const union v6addr *peer, __s8 *ext_err)
{
	union ct_buffer *buffer = ct_buffer(ipv6);
	struct policy_verdict verdict = {};
	struct policy_query query = {};
	struct ct_packet *packet;

	if (!buffer || !peer || !ext_err)
		return DROP_INVALID_TC_BUFFER;
	packet = &buffer->packet;
	query.remote_label = peer_label;
	query.l4_off = packet->l4_off;
	query.dport = ct_dport(buffer, ipv6);
	query.protocol = ct_protocol(buffer, ipv6);
	query.egress = egress;
	query.ipv6 = ipv6;
	query.later_fragment = ct_later_fragment(buffer);

	policy_decide(ctx, &query, &verdict);
	if (unlikely(verdict.code == DROP_POLICY_AUTH_REQUIRED)) {
		*ext_err = verdict.auth_type;
		admit_authenticated(ipv6, egress, peer_label, peer, &verdict);
	}
	if (verdict.code != TC_ACT_OK || packet->status != CT_ESTABLISHED)
		send_policy_verdict(ctx, &query, &verdict);
	packet->proxy_port = verdict.proxy_port;
	return verdict.code;
}

__verified_alone int admit4(struct __sk_buff *ctx, bool egress, __u32 peer_label,
			    const union v6addr *peer, __s8 *ext_err)
{
	return admit_packet(ctx, false, egress, peer_label, peer, ext_err);
}

__verified_alone int admit6(struct __sk_buff *ctx, bool egress, __u32 peer_label,
			    const union v6addr *peer, __s8 *ext_err)
{
	return admit_packet(ctx, true, egress, peer_label, peer, ext_err);
}

/*
 * peer: the identity and the address at the other end. Returns TC_ACT_OK, with the proxy's port in
 * the buffer if the packet must go there, or a drop reason.
 */
static __always_inline int admit(struct __sk_buff *ctx, bool ipv6, bool egress, __u32 peer_label,
				 const union v6addr *peer, __s8 *ext_err)
{
	return ipv6 ? admit6(ctx, egress, peer_label, peer, ext_err)
		    : admit4(ctx, egress, peer_label, peer, ext_err);
}
