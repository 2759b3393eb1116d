/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What user space and bpf_format.c share: cilium_py/bpf/formatter.py has the same in ctypes. */
#pragma once

#include <linux/types.h>

#define STEPS	     256
#define NAMES	     128
#define NAME_TABLES  8
#define ENTRIES_ROOM (1 << 19)
#define TEXT_ROOM    (1 << 20)

/* A field is read eight bytes at a time. */
#define ENTRY_SLACK 8
/* More than one step writes: its literal, and an IPv6 address or three portions of a number. */
#define STEP_ROOM 256
/* Of a table; wider ones are Python's. */
#define CELLS	  16
#define CELL_ROOM 160

enum format_kind {
	FORMAT_LITERAL,
	FORMAT_NUMBER,
	FORMAT_HEX,
	FORMAT_IP4,
	FORMAT_IP6,
	FORMAT_MAC,
	FORMAT_NAME,
	FORMAT_SECONDS,
	/* The name of each bit that is set, and of the last one `most` characters less. */
	FORMAT_NAMES,
	/* If the field is within `bias` and `most`, the literal; else pass over `width` steps. */
	FORMAT_WHEN,
	/* Leave the entry out. */
	FORMAT_DROP,
	/* The end of cell number `width` of a table: spaces up to the column's width. */
	FORMAT_CELL,
};

/* Write the literal, then a field of the entry: mask, after shift, after byte order. */
struct format_step {
	__u64 mask;
	/* Taken off a number; the present of FORMAT_SECONDS. */
	__u64 bias;
	__u64 most;
	__u32 divisor;
	__u16 offset;
	__u8 kind;
	/* 0 the key, 1 the value. */
	__u8 side;
	__u8 big_endian;
	__u8 shift;
	/* Of the literal. */
	__u8 size;
	/* Digits, steps, number of a table: as the kind says. */
	__u8 width;
	__u32 pad;
	__u64 literal[4];
};

struct format_name {
	__u64 text[3];
	__u64 size;
};

struct format_memory {
	/* Set for each run. */
	__u32 key_size;
	__u32 value_size;
	__u32 key_at;
	__u32 value_at;
	__u32 count;
	__u32 steps_count;
	/* Instead of filling cells up, find how wide they are. */
	__u32 measuring;
	__u32 widths[CELLS];
	/* What the run did: entries looked at, those that were not left out, bytes of text. */
	__u32 done;
	__u32 kept;
	__u32 out;
	/* Within a run. */
	__u32 line;
	__u32 pc;
	__u32 full;
	__u32 cell;
	/* Bits that FORMAT_NAMES has still to name. */
	__u64 bits;
	/* Octet -> its digits and a dot in four bytes, then the size with the dot and the size without. */
	__u64 octets[256];
	/* Which of an IPv6 address's groups are 0 -> two bits each: 1 a colon, 2 the group; at last the colon at the end. */
	__u32 groups[256];
	__u8 slots[NAME_TABLES][256];
	struct format_name names[NAMES];
	struct format_step steps[STEPS];
	__u8 entries[ENTRIES_ROOM];
	__u8 text[TEXT_ROOM];
};

struct format_memory memory;
