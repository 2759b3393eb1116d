/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Services: their addresses, their backends, and how translations are undone. */
#pragma once

#include "config.h"

/* The flags of a backend; in any other state it takes no new connections. */
enum {
	BACKEND_ACTIVE = 0,
};

struct lb4_key {
	__be32 address;
	__be16 dport;
	__u16 backend_slot;
	__u8 proto;
	__u8 scope;
	__u8 pad[2];
};

struct lb4_service {
	union {
		__u32 backend_id;
		__u32 affinity_timeout;
		__u32 l7_lb_proxy_port;
	};
	__u16 count;
	__u16 rev_nat_index;
	__u8 flags;
	__u8 flags2;
	__u16 qcount;
};

struct lb4_backend {
	__be32 address;
	__be16 port;
	__u8 proto;
	__u8 flags;
	__u16 cluster_id;
	__u8 zone;
	__u8 pad;
};

struct lb4_reverse_nat {
	__be32 address;
	__be16 port;
} __packed;

struct lb6_key {
	union v6addr address;
	__be16 dport;
	__u16 backend_slot;
	__u8 proto;
	__u8 scope;
	__u8 pad[2];
};

struct lb6_service {
	union {
		__u32 backend_id;
		__u32 affinity_timeout;
		__u32 l7_lb_proxy_port;
	};
	__u16 count;
	__u16 rev_nat_index;
	__u8 flags;
	__u8 flags2;
	__u16 qcount;
};

struct lb6_backend {
	union v6addr address;
	__be16 port;
	__u8 proto;
	__u8 flags;
	__u16 cluster_id;
	__u8 zone;
	__u8 pad;
};

struct lb6_reverse_nat {
	union v6addr address;
	__be16 port;
} __packed;

_Static_assert(sizeof(struct lb4_key) == 12, "lb4_key");
_Static_assert(sizeof(struct lb4_service) == 12, "lb4_service");
_Static_assert(sizeof(struct lb4_backend) == 12, "lb4_backend");
_Static_assert(sizeof(struct lb4_reverse_nat) == 6, "lb4_reverse_nat");
_Static_assert(sizeof(struct lb6_key) == 24, "lb6_key");
_Static_assert(sizeof(struct lb6_service) == 12, "lb6_service");
_Static_assert(sizeof(struct lb6_backend) == 24, "lb6_backend");
_Static_assert(sizeof(struct lb6_reverse_nat) == 18, "lb6_reverse_nat");

#define LB_MAP(map_name, key_type, value_type)        \
	struct {                                      \
		__uint(type, BPF_MAP_TYPE_HASH);      \
		__type(key, key_type);                \
		__type(value, value_type);            \
		__uint(pinning, LIBBPF_PIN_BY_NAME);  \
		__uint(max_entries, 65536);           \
		__uint(map_flags, BPF_F_NO_PREALLOC); \
	} map_name SEC(".maps")

/* address, port, protocol, slot -> a backend's number; slot 0 holds how many slots there are */
LB_MAP(cilium_lb4_services_v2, struct lb4_key, struct lb4_service);
LB_MAP(cilium_lb6_services_v2, struct lb6_key, struct lb6_service);
/* number of a backend -> its address and port */
LB_MAP(cilium_lb4_backends_v3, __u32, struct lb4_backend);
LB_MAP(cilium_lb6_backends_v3, __u32, struct lb6_backend);
/* index of a service in connections -> the address and port that its clients know */
LB_MAP(cilium_lb4_reverse_nat, __u16, struct lb4_reverse_nat);
LB_MAP(cilium_lb6_reverse_nat, __u16, struct lb6_reverse_nat);

/* As with conntrack's buffer: the member that holds is told by a constant. */
union lb_key {
	struct lb4_key v4;
	struct lb6_key v6;
};

/* What one family's maps say, in words of both; an IPv4 address stands in the first word. */
struct lb_service {
	__u32 backend_id;
	__u16 count;
	__u16 rev_nat_index;
};

struct lb_address {
	union v6addr address;
	__be16 port;
	/* of a backend */
	__u8 state;
};

static __always_inline bool lb_read_service(const union lb_key *key, bool ipv6,
					    struct lb_service *service)
{
	if (ipv6) {
		struct lb6_service *found = bpf_map_lookup_elem(&cilium_lb6_services_v2, &key->v6);

		if (!found)
			return false;
		service->backend_id = found->backend_id;
		service->count = found->count;
		service->rev_nat_index = found->rev_nat_index;
	} else {
		struct lb4_service *found = bpf_map_lookup_elem(&cilium_lb4_services_v2, &key->v4);

		if (!found)
			return false;
		service->backend_id = found->backend_id;
		service->count = found->count;
		service->rev_nat_index = found->rev_nat_index;
	}
	return true;
}

static __always_inline void lb_key_set(union lb_key *key, bool ipv6, __u8 proto, __u16 slot)
{
	if (ipv6) {
		key->v6.proto = proto;
		key->v6.backend_slot = slot;
	} else {
		key->v4.proto = proto;
		key->v4.backend_slot = slot;
	}
}

/* The service of the key, which is made the one that was found: for the protocol, else for any. */
static __always_inline bool lb_lookup_service(union lb_key *key, bool ipv6, __u8 proto,
					      struct lb_service *service)
{
	if (enable_service_protocol_differentiation) {
		lb_key_set(key, ipv6, proto, 0);
		if (lb_read_service(key, ipv6, service))
			return true;
	}
	lb_key_set(key, ipv6, 0, 0);
	return lb_read_service(key, ipv6, service);
}

static __always_inline bool lb_lookup_backend(__u32 id, bool ipv6, struct lb_address *backend)
{
	if (ipv6) {
		struct lb6_backend *found = bpf_map_lookup_elem(&cilium_lb6_backends_v3, &id);

		if (!found)
			return false;
		backend->address = found->address;
		backend->port = found->port;
		backend->state = found->flags;
	} else {
		struct lb4_backend *found = bpf_map_lookup_elem(&cilium_lb4_backends_v3, &id);

		if (!found)
			return false;
		backend->address.p1 = found->address;
		backend->port = found->port;
		backend->state = found->flags;
	}
	return true;
}

/* Any backend of the service with equal chance. Returns its number, 0 if there is none. */
static __always_inline __u32 lb_select_backend(union lb_key *key, bool ipv6,
					       const struct lb_service *service,
					       struct lb_address *backend)
{
	__u8 proto = ipv6 ? key->v6.proto : key->v4.proto;
	struct lb_service slot = {};

	if (!service->count)
		return 0;
	lb_key_set(key, ipv6, proto, bpf_get_prandom_u32() % service->count + 1);
	if (!lb_read_service(key, ipv6, &slot))
		return 0;
	return lb_lookup_backend(slot.backend_id, ipv6, backend) ? slot.backend_id : 0;
}

static __always_inline bool lb_lookup_reverse_nat(__u16 index, bool ipv6,
						  struct lb_address *original)
{
	if (ipv6) {
		struct lb6_reverse_nat *found =
			bpf_map_lookup_elem(&cilium_lb6_reverse_nat, &index);

		if (!found)
			return false;
		original->address = found->address;
		original->port = found->port;
	} else {
		struct lb4_reverse_nat *found =
			bpf_map_lookup_elem(&cilium_lb4_reverse_nat, &index);

		if (!found)
			return false;
		original->address.p1 = found->address;
		original->port = found->port;
	}
	return true;
}
