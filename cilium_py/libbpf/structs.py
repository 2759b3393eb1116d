"""C structs that libbpf and bpf(2) take, under their C names. `sz` says how much of one we know."""

from __future__ import annotations

import ctypes
from ctypes import c_char, c_char_p, c_int, c_size_t, c_uint8, c_uint32, c_uint64, c_void_p

from cilium_py.libbpf.constants import BPF_OBJ_NAME_LEN, BPF_TAG_SIZE


class Options(ctypes.Structure):
    """A libbpf `*_opts` struct: zero, but for its size and what is given."""

    def __init__(self, **fields: object) -> None:
        super().__init__(**{"sz": ctypes.sizeof(self), **fields})


class bpf_map_create_opts(Options):
    _fields_ = (
        ("sz", c_size_t),
        ("btf_fd", c_uint32),
        ("btf_key_type_id", c_uint32),
        ("btf_value_type_id", c_uint32),
        ("btf_vmlinux_value_type_id", c_uint32),
        ("inner_map_fd", c_uint32),
        ("map_flags", c_uint32),
        ("map_extra", c_uint64),
        ("numa_node", c_uint32),
        ("map_ifindex", c_uint32),
    )


class bpf_map_batch_opts(Options):
    _fields_ = (("sz", c_size_t), ("elem_flags", c_uint64), ("flags", c_uint64))


class bpf_obj_get_opts(Options):
    _fields_ = (("sz", c_size_t), ("file_flags", c_uint32))


class bpf_get_fd_by_id_opts(Options):
    _fields_ = (("sz", c_size_t), ("open_flags", c_uint32))


class bpf_object_open_opts(Options):
    _fields_ = (
        ("sz", c_size_t),
        ("object_name", c_char_p),
        ("relaxed_maps", ctypes.c_bool),
        ("pin_root_path", c_char_p),
        ("attach_prog_fd", c_uint32),
        ("kconfig", c_char_p),
        ("btf_custom_path", c_char_p),
        ("kernel_log_buf", c_void_p),
        ("kernel_log_size", c_size_t),
        ("kernel_log_level", c_uint32),
    )


class bpf_link_create_opts(Options):
    _fields_ = (
        ("sz", c_size_t),
        ("flags", c_uint32),
        ("iter_info", c_void_p),
        ("iter_info_len", c_uint32),
        ("target_btf_id", c_uint32),
    )


class bpf_link_update_opts(Options):
    _fields_ = (("sz", c_size_t), ("flags", c_uint32), ("old_prog_fd", c_uint32))


class bpf_test_run_opts(Options):
    _fields_ = (
        ("sz", c_size_t),
        ("data_in", c_char_p),
        ("data_out", c_void_p),
        ("data_size_in", c_uint32),
        ("data_size_out", c_uint32),
        ("ctx_in", c_char_p),
        ("ctx_out", c_void_p),
        ("ctx_size_in", c_uint32),
        ("ctx_size_out", c_uint32),
        ("retval", c_uint32),
        ("repeat", c_int),
        ("duration", c_uint32),
        ("flags", c_uint32),
        ("cpu", c_uint32),
        ("batch_size", c_uint32),
    )


class bpf_map_info(ctypes.Structure):
    _fields_ = (
        ("type", c_uint32),
        ("id", c_uint32),
        ("key_size", c_uint32),
        ("value_size", c_uint32),
        ("max_entries", c_uint32),
        ("map_flags", c_uint32),
        ("name", c_char * BPF_OBJ_NAME_LEN),
        ("ifindex", c_uint32),
        ("btf_vmlinux_value_type_id", c_uint32),
        ("netns_dev", c_uint64),
        ("netns_ino", c_uint64),
        ("btf_id", c_uint32),
        ("btf_key_type_id", c_uint32),
        ("btf_value_type_id", c_uint32),
        ("btf_vmlinux_id", c_uint32),
        ("map_extra", c_uint64),
    )


class bpf_prog_info(ctypes.Structure):
    _fields_ = (
        ("type", c_uint32),
        ("id", c_uint32),
        ("tag", c_uint8 * BPF_TAG_SIZE),
        ("jited_prog_len", c_uint32),
        ("xlated_prog_len", c_uint32),
        ("jited_prog_insns", c_uint64),
        ("xlated_prog_insns", c_uint64),
        ("load_time", c_uint64),
        ("created_by_uid", c_uint32),
        ("nr_map_ids", c_uint32),
        ("map_ids", c_uint64),
        ("name", c_char * BPF_OBJ_NAME_LEN),
        ("ifindex", c_uint32),
        ("gpl_compatible", c_uint32, 1),
        ("netns_dev", c_uint64),
        ("netns_ino", c_uint64),
        ("nr_jited_ksyms", c_uint32),
        ("nr_jited_func_lens", c_uint32),
        ("jited_ksyms", c_uint64),
        ("jited_func_lens", c_uint64),
        ("btf_id", c_uint32),
        ("func_info_rec_size", c_uint32),
        ("func_info", c_uint64),
        ("nr_func_info", c_uint32),
        ("nr_line_info", c_uint32),
        ("line_info", c_uint64),
        ("jited_line_info", c_uint64),
        ("nr_jited_line_info", c_uint32),
        ("line_info_rec_size", c_uint32),
        ("jited_line_info_rec_size", c_uint32),
        ("nr_prog_tags", c_uint32),
        ("prog_tags", c_uint64),
        ("run_time_ns", c_uint64),
        ("run_cnt", c_uint64),
        ("recursion_misses", c_uint64),
        ("verified_insns", c_uint32),
        ("attach_btf_obj_id", c_uint32),
        ("attach_btf_id", c_uint32),
        ("pad", c_uint32),
    )


class bpf_func_info(ctypes.Structure):
    _fields_ = (("insn_off", c_uint32), ("type_id", c_uint32))


class bpf_btf_info(ctypes.Structure):
    _fields_ = (
        ("btf", c_uint64),
        ("btf_size", c_uint32),
        ("id", c_uint32),
        ("name", c_uint64),
        ("name_len", c_uint32),
        ("kernel_btf", c_uint32),
    )


class _device_hook(ctypes.Structure):
    _fields_ = (("ifindex", c_uint32), ("attach_type", c_uint32))


class _cgroup_hook(ctypes.Structure):
    _fields_ = (("cgroup_id", c_uint64), ("attach_type", c_uint32))


class _iter_hook(ctypes.Structure):
    _fields_ = (("target_name", c_uint64), ("target_name_len", c_uint32), ("map_id", c_uint32))


class _netns_hook(ctypes.Structure):
    _fields_ = (("netns_ino", c_uint32), ("attach_type", c_uint32))


class _link_hook(ctypes.Union):
    _fields_ = (
        ("device", _device_hook),
        ("cgroup", _cgroup_hook),
        ("iter", _iter_hook),
        ("netns", _netns_hook),
        ("room", c_uint64 * 6),
    )


class bpf_link_info(ctypes.Structure):
    """`device` stands for the identical xdp (attach_type unused), tcx and netkit members."""

    _anonymous_ = ("hook",)
    _fields_ = (("type", c_uint32), ("id", c_uint32), ("prog_id", c_uint32), ("hook", _link_hook))


class bpf_iter_link_info(ctypes.Structure):
    """union bpf_iter_link_info, of which only the map's fd is used."""

    _fields_ = (("map_fd", c_uint32), ("room", c_uint32 * 3))
