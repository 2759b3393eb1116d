/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Sends the message that a test put into a map, and the packet it runs on, to the monitor's rings. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#define MESSAGE_ROOM 64

struct message {
	__u32 size;
	__u8 bytes[MESSAGE_ROOM];
};

/* CPU -> perf ring of the reader */
struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
} cilium_events SEC(".maps");

/* 0 -> what to send */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct message);
} messages SEC(".maps");

SEC("tc")
int emit(struct __sk_buff *ctx)
{
	__u64 captured = ctx->len;
	struct message *message;
	__u32 zero = 0, size;

	message = bpf_map_lookup_elem(&messages, &zero);
	if (!message)
		return 1;
	size = message->size;
	if (size < 1 || size > MESSAGE_ROOM)
		return 2;
	return bpf_perf_event_output(ctx, &cilium_events, captured << 32 | BPF_F_CURRENT_CPU,
				     message->bytes, size);
}

char _license[] SEC("license") = "Dual BSD/GPL";
