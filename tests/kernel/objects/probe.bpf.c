/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Small programs that show each thing the layer over libbpf can do. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

struct pair {
	__u16 left;
	__u16 right : 4;
	__u16 rest : 12;
	union {
		__u32 word;
		__u8 bytes[4];
	};
};

volatile const __u32 verdict = TC_ACT_SHOT;
volatile const __s16 signed_number = -2;
volatile const _Bool enabled;
volatile const __u8 mac[6] = { 1, 2, 3, 4, 5, 6 };
volatile const struct pair couple;
volatile const __u64 wide SEC(".rodata.config");

/* slot 0 -> how many packets were seen */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} seen SEC(".maps");

/* packet length -> pair; pinned by name */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, struct pair);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} shared_pairs SEC(".maps");

/* one record a packet: its length */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

/* one record a packet: its length and three words of nothing */
struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
} events SEC(".maps");

SEC("tc")
int decide(struct __sk_buff *ctx)
{
	__u32 zero = 0, length = ctx->len;
	__u64 record[4] = { length };
	struct pair *pair, fresh = { .left = length };
	__u64 *count = bpf_map_lookup_elem(&seen, &zero);

	if (count)
		__sync_fetch_and_add(count, 1);
	pair = bpf_map_lookup_elem(&shared_pairs, &length);
	if (!pair)
		bpf_map_update_elem(&shared_pairs, &length, &fresh, BPF_ANY);
	bpf_ringbuf_output(&ring, &length, sizeof(length), 0);
	bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, record, sizeof(record));
	ctx->mark += 1;
	ctx->cb[0] = (__u32)wide;
	return enabled ? (int)verdict : TC_ACT_UNSPEC;
}

SEC("tc")
int pass(struct __sk_buff *ctx __attribute__((unused)))
{
	return TC_ACT_OK;
}

SEC("xdp")
int drop_frame(struct xdp_md *ctx __attribute__((unused)))
{
	return XDP_DROP;
}

SEC("cgroup/connect4")
int refuse_connect(struct bpf_sock_addr *ctx __attribute__((unused)))
{
	return 0;
}

SEC("cgroup/connect4")
int allow_connect(struct bpf_sock_addr *ctx __attribute__((unused)))
{
	return 1;
}

/* reads behind the packet's end, so the verifier refuses it */
SEC("?tc")
int unchecked(struct __sk_buff *ctx)
{
	return *(__u8 *)(long)ctx->data;
}

char _license[] SEC("license") = "Dual BSD/GPL";
