/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Services, packet by packet: the way to a backend and the way back. A service's own conntrack
 * entry keeps a connection at its backend; the connection's entry says which service to put back.
 */
#pragma once

#include "conntrack.h"
#include "fragments.h"
#include "identity.h"
#include "lb.h"
#include "metrics.h"
#include "xlate.h"

/* What the first program found out and the later ones need, in a scratch word. */
enum {
	SERVICE_LOOPBACK = 1 << 16,
	SERVICE_INDEX = 0xffff,
};

/* The packet's own destination as the key of a service; its port stands crosswise in the tuple. */
static __always_inline void service_key(const union ct_buffer *buffer, bool ipv6, union lb_key *key)
{
	if (ipv6) {
		key->v6.address = buffer->v6.tuple.daddr;
		key->v6.dport = buffer->v6.tuple.sport;
	} else {
		key->v4.address = buffer->v4.tuple.daddr;
		key->v4.dport = buffer->v4.tuple.sport;
	}
}

static __always_inline bool service_protocol(__u8 protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP ||
	       (enable_sctp && protocol == IPPROTO_SCTP);
}

/*
 * The backend at which the connection is, unless it is gone, or it opens now and the backend takes
 * no new ones.
 */
static __always_inline bool service_keep_backend(const struct ct_entry *entry, bool ipv6,
						 __u8 tcp_flags, struct lb_address *backend)
{
	return lb_lookup_backend(entry->backend_id, ipv6, backend) &&
	       !(unlikely(backend->state != BACKEND_ACTIVE) && (tcp_flags & TCP_SYN));
}

/*
 * Keep the connection at its backend, or choose one and note it in the service's entry, whose tuple
 * is in the buffer. An entry of another service at the same address is replaced.
 */
static __always_inline int service_track(struct __sk_buff *ctx, union ct_buffer *buffer, bool ipv6,
					 union lb_key *key, const struct lb_service *service,
					 struct lb_address *backend, __s8 *ext_err)
{
	struct ct_state state = { .rev_nat_index = service->rev_nat_index };
	bool tcp = ct_protocol(buffer, ipv6) == IPPROTO_TCP;
	struct ct_entry *entry = ct_find(buffer, ipv6, tcp), new = {};
	__u8 flags = buffer->packet.tcp_flags;
	__u32 id;

	if (entry && (entry->rev_nat_index != service->rev_nat_index ||
		      ct_entry_update(entry, tcp, CT_SERVICE, flags, ctx->len) == CT_REOPENED))
		entry = NULL;
	if (entry && service_keep_backend(entry, ipv6, flags, backend))
		return 0;
	id = lb_select_backend(key, ipv6, service, backend);
	if (!id)
		return DROP_NO_SERVICE;
	if (entry) {
		entry->backend_id = id;
		return 0;
	}
	ct_entry_init(&new, &state, UNKNOWN_ID, tcp, CT_SERVICE, false);
	new.backend_id = id;
	if (enable_conntrack_accounting) {
		new.packets = 1;
		new.bytes = ctx->len;
	}
	return ct_insert(buffer, ipv6, &new, ext_err);
}

/*
 * Send the packet to the backend. An endpoint that is its own backend gets a source of the node's.
 */
static __always_inline int service_translate(struct __sk_buff *ctx, union ct_buffer *buffer,
					     bool ipv6, struct lb_address *backend, bool *loopback)
{
	const struct ct_packet *packet = &buffer->packet;
	__u8 protocol = ct_protocol(buffer, ipv6);
	bool has_l4 = !ct_later_fragment(buffer);
	union v6addr old = {}, source = { .p1 = service_loopback_ipv4.be32 };
	__be16 port;
	int ret;

	if (ipv6)
		old = buffer->v6.tuple.daddr;
	else
		old.p1 = buffer->v4.tuple.daddr;
	ret = xlate_address(ctx, ipv6, IP_DESTINATION, protocol, packet->l4_off, has_l4, &old,
			    &backend->address);
	if (IS_ERR(ret))
		return ret;
	*loopback = !ipv6 && buffer->v4.tuple.saddr == backend->address.p1;
	if (*loopback) {
		old.p1 = buffer->v4.tuple.saddr;
		ret = xlate_address(ctx, false, IP_SOURCE, protocol, packet->l4_off, has_l4, &old,
				    &source);
		if (IS_ERR(ret))
			return ret;
		buffer->v4.tuple.saddr = source.p1;
	}

	port = ipv6 ? buffer->v6.tuple.sport : buffer->v4.tuple.sport;
	ret = xlate_port(ctx, IP_DESTINATION, protocol, packet->l4_off, has_l4, port,
			 backend->port);
	if (ipv6) {
		buffer->v6.tuple.daddr = backend->address;
		buffer->v6.tuple.sport = backend->port ? backend->port : port;
	} else {
		buffer->v4.tuple.daddr = backend->address.p1;
		buffer->v4.tuple.sport = backend->port ? backend->port : port;
	}
	return ret;
}

/* If the packet goes to a service: choose its backend, and translate packet and tuple. */
static __always_inline int service_forward(struct __sk_buff *ctx, union ct_buffer *buffer,
					   bool ipv6, __s8 *ext_err)
{
	__u8 protocol = ct_protocol(buffer, ipv6);
	struct lb_service service = {};
	struct lb_address backend = {};
	union lb_key key = {};
	bool loopback = false;
	int ret;

	if (!service_protocol(protocol))
		return 0;
	service_key(buffer, ipv6, &key);
	if (likely(!lb_lookup_service(&key, ipv6, protocol, &service)))
		return 0;

	ret = ct_prepare(ctx, buffer, ipv6, METRIC_SERVICE);
	if (IS_ERR(ret))
		return ret;
	ct_set_flags(buffer, ipv6, TUPLE_F_SERVICE);
	ret = service_track(ctx, buffer, ipv6, &key, &service, &backend, ext_err);
	ct_set_flags(buffer, ipv6, 0);
	if (IS_ERR(ret))
		return ret;

	ret = service_translate(ctx, buffer, ipv6, &backend, &loopback);
	if (IS_ERR(ret))
		return ret;
	/* The datagram's other fragments are known by the backend's address from here on. */
	if (unlikely(buffer->packet.fragment.flags))
		ret = fragment_ports(ctx, buffer, ipv6, METRIC_EGRESS);
	ctx_store(ctx, CB_SERVICE, service.rev_nat_index | (loopback ? SERVICE_LOOPBACK : 0));
	return ret;
}

/*
 * Give a reply, or an error about the connection, the address that the client knows. In the
 * loopback case the client is the sender itself, behind the node's stand-in address.
 */
static __always_inline int service_reverse(struct __sk_buff *ctx, union ct_buffer *buffer,
					   bool ipv6, const union v6addr *source)
{
	const struct ct_packet *packet = &buffer->packet;
	union v6addr old = *source, loopback = { .p1 = service_loopback_ipv4.be32 };
	__u8 protocol = ct_protocol(buffer, ipv6);
	bool has_l4 = !ct_later_fragment(buffer);
	struct lb_address original = {};
	int ret;

	if (!lb_lookup_reverse_nat(packet->state.rev_nat_index, ipv6, &original))
		return 0;
	ret = xlate_address(ctx, ipv6, IP_SOURCE, protocol, packet->l4_off, has_l4, &old,
			    &original.address);
	if (IS_ERR(ret))
		return ret;
	if (!ipv6 && packet->state.loopback) {
		ret = xlate_address(ctx, false, IP_DESTINATION, protocol, packet->l4_off, has_l4,
				    &loopback, &old);
		if (IS_ERR(ret))
			return ret;
	}
	/*
	 * The tuple of a reply is the packet's own, ports crosswise: dport is where it comes from.
	 */
	return xlate_port(ctx, IP_SOURCE, protocol, packet->l4_off, has_l4, ct_dport(buffer, ipv6),
			  original.port);
}
