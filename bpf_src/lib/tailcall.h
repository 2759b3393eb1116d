/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Calls between programs. A tail call returns only when there is nothing in the slot. */
#pragma once

#include "ctx.h"
#include "drop_reasons.h"

enum {
	CILIUM_CALL_HANDLE_ICMP6_NS = 4,
	CILIUM_CALL_SEND_ICMP6_TIME_EXCEEDED = 5,
	CILIUM_CALL_ARP = 6,
	CILIUM_CALL_IPV4_FROM_LXC = 7,
	CILIUM_CALL_IPV6_FROM_LXC = 10,
	CILIUM_CALL_IPV4_TO_ENDPOINT = 13,
	CILIUM_CALL_IPV6_TO_ENDPOINT = 14,
	CILIUM_CALL_IPV4_FROM_LXC_CONT = 26,
	CILIUM_CALL_IPV6_FROM_LXC_CONT = 27,
	CILIUM_CALL_IPV4_CT_INGRESS = 28,
	CILIUM_CALL_IPV4_CT_EGRESS = 30,
	CILIUM_CALL_IPV6_CT_INGRESS = 31,
	CILIUM_CALL_IPV6_CT_EGRESS = 33,
	CILIUM_CALL_IPV4_NO_SERVICE = 45,
	CILIUM_CALL_IPV6_NO_SERVICE = 46,
	CILIUM_CALL_SIZE = 48,
};

/*
 * The programs of one object by slot; each program file fills it. One map an endpoint, pinned by
 * the loader.
 */
struct cilium_calls {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(max_entries, CILIUM_CALL_SIZE);
	__array(values, int(struct __sk_buff *));
};

extern struct cilium_calls cilium_calls;

/* endpoint -> the program that decides what may enter it */
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
	__uint(max_entries, 65535);
} cilium_call_policy SEC(".maps");

/* slot must be a constant: the kernel then makes the call a jump. */
static __always_inline int tail_call_internal(struct __sk_buff *ctx, const __u32 slot,
					      __s8 *ext_err)
{
	bpf_tail_call_static(ctx, &cilium_calls, slot);
	*ext_err = (__s8)slot;
	return DROP_MISSED_TAIL_CALL;
}

/* An endpoint that comes or goes has no program for a moment. */
static __always_inline int tail_call_policy(struct __sk_buff *ctx, __u16 endpoint)
{
	bpf_tail_call(ctx, &cilium_call_policy, endpoint);
	return DROP_EP_NOT_READY;
}
