/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Services, packet by packet: the way to a backend and the way back. A service's own conntrack
 * entry keeps a connection at its backend; the connection's entry says which service to put back.
 */
#pragma once

#include "conntrack.h"
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
 * The backend of the connection, or a new one where there is none yet, it is another service's, or
 * it is gone. Returns 0 or a drop reason; *id is new if the entry must be written.
 */
static __always_inline int service_backend(union lb_key *key, bool ipv6,
					   const struct lb_service *service, enum ct_status status,
					   const struct ct_state *known, struct lb_address *backend,
					   __u32 *id)
{
	if (status == CT_ESTABLISHED && known->rev_nat_index == service->rev_nat_index &&
	    lb_lookup_backend(known->backend_id, ipv6, backend)) {
		*id = 0;
		return 0;
	}
	*id = lb_select_backend(key, ipv6, service, backend);
	return *id ? 0 : DROP_NO_SERVICE;
}

static __always_inline int service_track(struct __sk_buff *ctx, void *map, bool tcp,
					 union ct_buffer *buffer, bool ipv6, union lb_key *key,
					 const struct lb_service *service,
					 struct lb_address *backend, __s8 *ext_err)
{
	__u8 flags = tcp ? ct_tcp_flags(buffer, ipv6) : 0;
	const void *tuple = ct_tuple(buffer, ipv6);
	struct ct_result result = {};
	struct ct_entry entry = {}, *known;
	enum ct_status status;
	__u32 id;
	int ret;

	status = ct_lookup_entry(map, tuple, tcp, CT_SERVICE, flags, ctx->len, &result);
	ret = service_backend(key, ipv6, service, status, &result.state, backend, &id);
	if (IS_ERR(ret) || !id)
		return ret;

	result.state.rev_nat_index = service->rev_nat_index;
	result.state.backend_id = id;
	if (status == CT_ESTABLISHED) {
		known = bpf_map_lookup_elem(map, tuple);
		if (known) {
			known->rev_nat_index = service->rev_nat_index;
			known->backend_id = id;
		}
		return 0;
	}
	ct_entry_init(&entry, &result.state, tcp, CT_SERVICE);
	if (enable_conntrack_accounting) {
		entry.packets = 1;
		entry.bytes = ctx->len;
	}
	return ct_insert(map, tuple, &entry, ext_err);
}

/*
 * Send the packet to the backend. An endpoint that is its own backend gets a source of the node's.
 */
static __always_inline int service_translate(struct __sk_buff *ctx, union ct_buffer *buffer,
					     bool ipv6, struct lb_address *backend, bool *loopback)
{
	const struct ct_result *result = ct_result(buffer, ipv6);
	__u8 protocol = ct_protocol(buffer, ipv6);
	bool has_l4 = !ct_later_fragment(buffer, ipv6);
	union v6addr old = {}, source = { .p1 = service_loopback_ipv4.be32 };
	__be16 port;
	int ret;

	if (ipv6)
		old = buffer->v6.tuple.daddr;
	else
		old.p1 = buffer->v4.tuple.daddr;
	ret = xlate_address(ctx, ipv6, XLATE_DESTINATION, protocol, result->l4_off, has_l4, &old,
			    &backend->address);
	if (IS_ERR(ret))
		return ret;
	*loopback = !ipv6 && buffer->v4.tuple.saddr == backend->address.p1;
	if (*loopback) {
		old.p1 = buffer->v4.tuple.saddr;
		ret = xlate_address(ctx, false, XLATE_SOURCE, protocol, result->l4_off, has_l4,
				    &old, &source);
		if (IS_ERR(ret))
			return ret;
		buffer->v4.tuple.saddr = source.p1;
	}

	port = ipv6 ? buffer->v6.tuple.sport : buffer->v4.tuple.sport;
	ret = xlate_port(ctx, XLATE_DESTINATION, protocol, result->l4_off, has_l4, port,
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
	void *tcp_map = ipv6 ? (void *)&cilium_ct6_global : (void *)&cilium_ct4_global;
	void *any_map = ipv6 ? (void *)&cilium_ct_any6_global : (void *)&cilium_ct_any4_global;
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

	if (ct_is_fragment(buffer, ipv6))
		update_metrics(ctx->len, METRIC_SERVICE, REASON_FRAG_PACKET);
	ct_tuple_set_flags(buffer, ipv6, TUPLE_F_SERVICE);
	if (protocol == IPPROTO_TCP)
		ret = service_track(ctx, tcp_map, true, buffer, ipv6, &key, &service, &backend,
				    ext_err);
	else
		ret = service_track(ctx, any_map, false, buffer, ipv6, &key, &service, &backend,
				    ext_err);
	ct_tuple_clear_flags(buffer, ipv6, TUPLE_F_SERVICE);
	if (IS_ERR(ret))
		return ret;

	ret = service_translate(ctx, buffer, ipv6, &backend, &loopback);
	if (IS_ERR(ret))
		return ret;
	ctx_store(ctx, CB_SERVICE, service.rev_nat_index | (loopback ? SERVICE_LOOPBACK : 0));
	return 0;
}

/*
 * Give a reply, or an error about the connection, the address that the client knows. In the
 * loopback case the client is the sender itself, behind the node's stand-in address.
 */
static __always_inline int service_reverse(struct __sk_buff *ctx, union ct_buffer *buffer,
					   bool ipv6, const union v6addr *source)
{
	const struct ct_result *result = ct_result(buffer, ipv6);
	union v6addr old = *source, loopback = { .p1 = service_loopback_ipv4.be32 };
	__u8 protocol = ct_protocol(buffer, ipv6);
	bool has_l4 = !ct_later_fragment(buffer, ipv6);
	struct lb_address original = {};
	int ret;

	if (!lb_lookup_reverse_nat(result->state.rev_nat_index, ipv6, &original))
		return 0;
	/*
	 * The tuple of a reply is the packet's own, ports crosswise: dport is where it comes from.
	 */
	ret = xlate_port(ctx, XLATE_SOURCE, protocol, result->l4_off, has_l4,
			 ct_dport(buffer, ipv6), original.port);
	if (IS_ERR(ret))
		return ret;
	ret = xlate_address(ctx, ipv6, XLATE_SOURCE, protocol, result->l4_off, has_l4, &old,
			    &original.address);
	if (IS_ERR(ret) || ipv6 || !result->state.loopback)
		return ret;
	return xlate_address(ctx, false, XLATE_DESTINATION, protocol, result->l4_off, has_l4,
			     &loopback, &old);
}
