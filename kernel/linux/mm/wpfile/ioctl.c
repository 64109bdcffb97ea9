// SPDX-License-Identifier: GPL-2.0-only
/*
 * The door: ioctls, their tables, and what they have in common.
 */
#include <linux/capability.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/hugetlb.h>
#include <linux/miscdevice.h>
#include <linux/mnt_idmapping.h>
#include <linux/module.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "wpfile.h"

static const struct wpfile_op *find_op(const struct wpfile_op *ops,
				       unsigned int nr_ops, unsigned int cmd)
{
	unsigned int i;

	for (i = 0; i < nr_ops; i++)
		if (ops[i].cmd == cmd)
			return &ops[i];
	return NULL;
}

static long run_op(const struct wpfile_op *op, struct wpfile_cmd *cmd)
{
	long err;

	if (get_user(cmd->user_size, (u32 __user *)cmd->user))
		return -EFAULT;
	if (cmd->user_size < op->min_size)
		return -EINVAL;
	if (cmd->user_size > WPFILE_MAX_ARGS)
		return -E2BIG;
	err = copy_struct_from_user(cmd->args, op->size, cmd->user,
				    cmd->user_size);
	return err ?: op->run(cmd);
}

/**
 * wpfile_dispatch - find an ioctl in a table, fetch its arguments, run it
 * @ops: the table
 * @nr_ops: its length
 * @file: what it was issued on
 * @cmd: its number
 * @arg: the user's structure
 */
long wpfile_dispatch(const struct wpfile_op *ops, unsigned int nr_ops,
		     struct file *file, unsigned int cmd, unsigned long arg)
{
	union wpfile_args args = {};
	struct wpfile_cmd ucmd = {
		.file = file,
		.user = (void __user *)arg,
		.args = &args,
	};
	const struct wpfile_op *op = find_op(ops, nr_ops, cmd);

	return op ? run_op(op, &ucmd) : -ENOTTY;
}

/* Gives the arguments back, with what ret_* fields the caller has room for. */
int wpfile_respond(struct wpfile_cmd *cmd)
{
	size_t size = min_t(size_t, cmd->user_size, sizeof(*cmd->args));

	return copy_to_user(cmd->user, cmd->args, size) ? -EFAULT : 0;
}

/* 0 if monitors of the file exist, as the uapi says. */
static int check_kind(struct file *target)
{
	if (is_file_hugepages(target))
		return -EOPNOTSUPP;
	/* Behind a snapshot is a shmem file, which has not all of its content. */
	if (!shmem_mapping(target->f_mapping) || wpfile_is_snapshot(target) ||
	    /* A file system that lends its files the pages of others: Coda. */
	    target->f_mapping->host != file_inode(target) ||
	    !S_ISREG(file_inode(target)->i_mode))
		return -ENOTTY;
	return 0;
}

static bool is_sealed(struct file *target)
{
	return SHMEM_I(file_inode(target))->seals &
	       (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE);
}

/* Whoever may write the file, or make himself able to, may watch its writes. */
static int check_rights(struct file *target)
{
	if (!(target->f_mode & FMODE_READ))
		return -EACCES;
	if ((!(target->f_mode & FMODE_WRITE) || is_sealed(target)) &&
	    !inode_owner_or_capable(file_mnt_idmap(target), file_inode(target)))
		return -EPERM;
	return 0;
}

/* Who may hold up, or fail, others that use the file; or forbid that. */
static int check_ownership(struct file *target)
{
	if (!(target->f_mode & FMODE_READ))
		return -EACCES;
	if (!(target->f_mode & FMODE_WRITE) || is_sealed(target) ||
	    !inode_owner_or_capable(file_mnt_idmap(target), file_inode(target)))
		return -EPERM;
	return 0;
}

static int check_mode(struct file *target, u32 mode)
{
	return mode >= WPFILE_SYNC ? check_ownership(target) :
				     check_rights(target);
}

/* What the caller maps at an address, by a shared mapping. */
static struct file *file_at(unsigned long addr)
{
	struct file *file = ERR_PTR(-EFAULT);
	struct vm_area_struct *vma;

	if (mmap_read_lock_killable(current->mm))
		return ERR_PTR(-EINTR);
	vma = vma_lookup(current->mm, untagged_addr(addr));
	/* Drivers map memory of their own for shmem files: not by their pages. */
	if (vma && vma->vm_file && (vma->vm_flags & VM_MAYSHARE) &&
	    !(vma->vm_flags & (VM_PFNMAP | VM_MIXEDMAP)))
		file = get_file(vma->vm_file);
	else if (vma)
		file = ERR_PTR(-ENOTTY);
	mmap_read_unlock(current->mm);
	return file;
}

static const struct file_operations wpfile_dev_fops;

static bool is_dev(struct file *file)
{
	return file->f_op == &wpfile_dev_fops;
}

static struct file *checked(struct file *target)
{
	int err;

	if (IS_ERR(target))
		return target;
	err = check_kind(target) ?: security_file_permission(target, MAY_READ);
	if (!err)
		return target;
	fput(target);
	return ERR_PTR(err);
}

static struct file *target_at(u64 address)
{
	if (address != (unsigned long)address)
		return ERR_PTR(-EFAULT);
	return checked(file_at(address));
}

/* The file that an ioctl means, referenced. */
static struct file *target_get(struct wpfile_cmd *cmd, u32 flags, u64 address)
{
	if (is_dev(cmd->file))
		return flags == WPFILE_AT_ADDRESS ? target_at(address) :
						    ERR_PTR(-EINVAL);
	if (flags || address)
		return ERR_PTR(-EINVAL);
	return checked(get_file(cmd->file));
}

#define WPFILE_FEATURES (WPFILE_FEATURE_TRACK | WPFILE_FEATURE_CAPTURE |	\
			 WPFILE_FEATURE_SNAPSHOT |			\
			 WPFILE_FEATURE_SCAN_PROTECT |			\
			 WPFILE_FEATURE_ADDRESS | WPFILE_FEATURE_HUGE |	\
			 WPFILE_FEATURE_PINNED | WPFILE_FEATURE_SYNC |	\
			 WPFILE_FEATURE_DENY | WPFILE_FEATURE_ATTACH)

static int count_monitors(struct wpfile_cmd *cmd, struct wpfile_query *args)
{
	struct wpfile_file *file;
	struct file *target;

	target = target_get(cmd, args->flags, args->address);
	if (IS_ERR(target))
		return PTR_ERR(target);
	file = wpfile_of(file_inode(target));
	if (file) {
		wpfile_count(file, args->ret_monitors);
		if (READ_ONCE(file->forbidden))
			args->ret_state |= WPFILE_STATE_FORBIDDEN;
		if (wpfile_has_joined(file))
			args->ret_state |= WPFILE_STATE_JOINED;
	}
	fput(target);
	return 0;
}

static long run_query(struct wpfile_cmd *cmd)
{
	struct wpfile_query *args = &cmd->args->query;
	int err = 0;

	if (args->reserved)
		return -EINVAL;
	memset(args->ret_monitors, 0, sizeof(args->ret_monitors));
	args->ret_state = 0;
	if (!is_dev(cmd->file) || args->flags)
		err = count_monitors(cmd, args);
	else if (args->address)
		err = -EINVAL;
	if (err)
		return err;
	args->ret_features = WPFILE_FEATURES;
	args->ret_max_monitors = WPFILE_MAX_MONITORS;
	args->ret_max_ranges = WPFILE_MAX_RANGES;
	args->ret_max_wait_ms = wpfile_wait_limit(0);
	args->ret_max_files = WPFILE_MAX_FILES;
	return wpfile_respond(cmd);
}

static int check_monitor(const struct wpfile_monitor *args)
{
	if (args->reserved || args->mode >= WPFILE_NR_MODES)
		return -EINVAL;
	if (args->flags & ~(WPFILE_AT_ADDRESS | WPFILE_DENIED_EVENTS))
		return -EINVAL;
	if ((args->flags & WPFILE_DENIED_EVENTS) && args->mode != WPFILE_DENY)
		return -EINVAL;
	if (args->mode == WPFILE_TRACK &&
	    (args->capture_limit || args->queue_limit))
		return -EINVAL;
	if (args->wait_limit_ms && args->mode != WPFILE_SYNC)
		return -EINVAL;
	if (args->wait_limit_ms > wpfile_wait_limit(0) ||
	    args->queue_limit > wpfile_queue_limit(0))
		return -EINVAL;
	return 0;
}

static long run_monitor(struct wpfile_cmd *cmd)
{
	struct wpfile_monitor *args = &cmd->args->monitor;
	struct file *target;
	long ret;

	ret = check_monitor(args);
	if (ret)
		return ret;
	target = target_get(cmd, args->flags & WPFILE_AT_ADDRESS, args->address);
	if (IS_ERR(target))
		return PTR_ERR(target);
	ret = check_mode(target, args->mode) ?: wpfile_monitor_fd(target, args);
	fput(target);
	return ret;
}

/* A snapshot that the caller is told of has a file descriptor, and vice versa. */
static long snapshot_fd(struct wpfile_cmd *cmd, struct file *target)
{
	struct file *file;
	int fd, err;

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	file = wpfile_snapshot_file(target, &cmd->args->snapshot);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	err = wpfile_respond(cmd);
	if (err) {
		put_unused_fd(fd);
		fput(file);
		return err;
	}
	fd_install(fd, file);
	return fd;
}

static long run_snapshot(struct wpfile_cmd *cmd)
{
	struct wpfile_snapshot *args = &cmd->args->snapshot;
	struct file *target;
	long ret;

	target = target_get(cmd, args->flags, args->address);
	if (IS_ERR(target))
		return PTR_ERR(target);
	ret = check_rights(target) ?: snapshot_fd(cmd, target);
	fput(target);
	return ret;
}

/* Runs @fn for the file that a struct wpfile_consent means, if @check allows it. */
static long for_target(struct wpfile_cmd *cmd, int (*check)(struct file *target),
		       int (*fn)(struct wpfile_file *file))
{
	struct wpfile_consent *args = &cmd->args->consent;
	struct wpfile_file *file;
	struct file *target;
	int ret;

	target = target_get(cmd, args->flags, args->address);
	if (IS_ERR(target))
		return PTR_ERR(target);
	ret = check(target);
	if (!ret) {
		file = wpfile_file_get(file_inode(target));
		ret = file ? fn(file) : -ENOMEM;
	}
	fput(target);
	return ret;
}

static int check_writable(struct file *target)
{
	return target->f_mode & FMODE_WRITE ? 0 : -EPERM;
}

static long run_join(struct wpfile_cmd *cmd)
{
	return for_target(cmd, check_writable, wpfile_join);
}

static long run_forbid(struct wpfile_cmd *cmd)
{
	return for_target(cmd, check_ownership, wpfile_forbid);
}

static struct file *attach_target(const struct wpfile_attach *args)
{
	struct file *target;

	if (args->reserved)
		return ERR_PTR(-EINVAL);
	if (args->flags == WPFILE_AT_ADDRESS && args->fd == -1)
		return target_at(args->address);
	if (args->flags || args->address)
		return ERR_PTR(-EINVAL);
	target = fget(args->fd);
	return target ? checked(target) : ERR_PTR(-EBADF);
}

/* The file that is to be attached to a monitor of @mode, referenced. */
struct file *wpfile_attach_target(const struct wpfile_attach *args, u32 mode)
{
	struct file *target = attach_target(args);
	int err;

	if (IS_ERR(target))
		return target;
	err = check_mode(target, mode);
	if (!err)
		return target;
	fput(target);
	return ERR_PTR(err);
}

static const struct wpfile_op file_ops[] = {
	{ WPFILE_IOC_QUERY, sizeof(struct wpfile_query),
	  offsetofend(struct wpfile_query, reserved), run_query },
	{ WPFILE_IOC_MONITOR, sizeof(struct wpfile_monitor),
	  offsetofend(struct wpfile_monitor, cookie), run_monitor },
	{ WPFILE_IOC_SNAPSHOT, sizeof(struct wpfile_snapshot),
	  offsetofend(struct wpfile_snapshot, ret_pinned_pages), run_snapshot },
	{ WPFILE_IOC_JOIN, sizeof(struct wpfile_consent),
	  offsetofend(struct wpfile_consent, address), run_join },
	{ WPFILE_IOC_FORBID, sizeof(struct wpfile_consent),
	  offsetofend(struct wpfile_consent, address), run_forbid },
};

/* Of shmem and hugetlbfs files, and of the device. */
long wpfile_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return wpfile_dispatch(file_ops, ARRAY_SIZE(file_ops), file, cmd, arg);
}

static const struct file_operations wpfile_dev_fops = {
	.owner		= THIS_MODULE,
	.unlocked_ioctl	= wpfile_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.llseek		= noop_llseek,
};

/* Gives no right that an ioctl on a file descriptor does not give: for all. */
static struct miscdevice wpfile_dev = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "wpfile",
	.fops	= &wpfile_dev_fops,
	.mode	= 0666,
};

/* The layout is the same for 32 and 64 bit, and has no holes. */
static void __init check_abi(void)
{
	BUILD_BUG_ON(sizeof(struct wpfile_range) != 16);
	BUILD_BUG_ON(sizeof(struct wpfile_query) != 64);
	BUILD_BUG_ON(sizeof(struct wpfile_monitor) != 48);
	BUILD_BUG_ON(sizeof(struct wpfile_snapshot) != 48);
	BUILD_BUG_ON(sizeof(struct wpfile_protect) != 40);
	BUILD_BUG_ON(sizeof(struct wpfile_unprotect) != 24);
	BUILD_BUG_ON(sizeof(struct wpfile_scan) != 56);
	BUILD_BUG_ON(sizeof(struct wpfile_consent) != 16);
	BUILD_BUG_ON(sizeof(struct wpfile_resolve) != 16);
	BUILD_BUG_ON(sizeof(struct wpfile_attach) != 32);
	BUILD_BUG_ON(sizeof(struct wpfile_event) != 64);
}

static int __init wpfile_init(void)
{
	check_abi();
	return misc_register(&wpfile_dev);
}
device_initcall(wpfile_init);
