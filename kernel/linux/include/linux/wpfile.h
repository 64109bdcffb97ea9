/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * wpfile: hooks in the rest of mm.  See mm/wpfile/file.c for how it works.
 *
 * With no monitor in the system, each hook is a no-op of a static key (but for
 * wpfile_fill_begin()).  A file is armed (AS_WPFILE) while it has monitors.
 */
#ifndef _LINUX_WPFILE_H
#define _LINUX_WPFILE_H

#include <linux/fs.h>
#include <linux/jump_label_ratelimit.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/srcu.h>

#ifdef CONFIG_WPFILE

extern struct static_key_false_deferred wpfile_key;
extern struct srcu_struct wpfile_fills;

#define WPFILE_FILL_LOCKED 2 /* for indices of SRCU, which are 0 and 1 */

/* Acquire: the inode's wpfile was set before the bit. */
static inline bool wpfile_has_bit(struct address_space *mapping)
{
	return test_bit_acquire(AS_WPFILE, &mapping->flags);
}

static inline bool wpfile_armed(struct address_space *mapping)
{
	return static_branch_unlikely(&wpfile_key.key) &&
	       wpfile_has_bit(mapping);
}

/* Can it make pages of its file writable?  Drivers map memory of their own. */
static inline bool wpfile_vma_walked(struct vm_area_struct *vma)
{
	return (vma->vm_flags & (VM_SHARED | VM_PFNMAP | VM_MIXEDMAP)) ==
	       VM_SHARED;
}

static inline bool wpfile_vma_armed(struct vm_area_struct *vma)
{
	/* In this order: most files are not armed. */
	return static_branch_unlikely(&wpfile_key.key) && vma->vm_file &&
	       wpfile_has_bit(vma->vm_file->f_mapping) &&
	       wpfile_vma_walked(vma);
}

/* The same of a mapping that is shared, and so has a file. */
static inline bool wpfile_shared_armed(struct vm_area_struct *vma)
{
	return static_branch_unlikely(&wpfile_key.key) &&
	       wpfile_has_bit(vma->vm_file->f_mapping) &&
	       wpfile_vma_walked(vma);
}

bool __wpfile_any_protected(struct vm_area_struct *vma, unsigned long addr,
			    unsigned long nr);
pte_t __wpfile_filter_ptes(struct vm_area_struct *vma, unsigned long addr,
			   pte_t pte, unsigned int nr);
pmd_t __wpfile_filter_pmd(struct vm_area_struct *vma, unsigned long addr,
			  pmd_t pmd);
bool __wpfile_wants_ptes(struct vm_fault *vmf);
bool __wpfile_protected(struct vm_fault *vmf);
vm_fault_t __wpfile_write_fault(struct vm_fault *vmf);
int __wpfile_write(struct kiocb *iocb, struct iov_iter *from);
int __wpfile_resize(struct inode *inode, loff_t size);
int __wpfile_punch(struct inode *inode, loff_t start, loff_t len);
int __wpfile_fill_begin(struct inode *inode, pgoff_t index, bool content,
			int begun);
bool wpfile_truncate_begin(struct inode *inode, loff_t start, loff_t end);
void wpfile_truncate_end(struct inode *inode, bool begun);
int wpfile_pin_begin(struct inode *inode, loff_t start, loff_t end);
void wpfile_pin_end(struct inode *inode);
void wpfile_evict(struct inode *inode);
long wpfile_ioctl(struct file *file, unsigned int cmd, unsigned long arg);
#define wpfile_compat_ioctl compat_ptr_ioctl

/*
 * Filters: what may be installed in a page table, write bit cleared where a
 * monitor protects the page.  Called under the page table lock.
 */
static inline pte_t wpfile_filter_ptes(struct vm_area_struct *vma,
				       unsigned long addr, pte_t pte,
				       unsigned int nr)
{
	if (wpfile_vma_armed(vma) && pte_write(pte))
		return __wpfile_filter_ptes(vma, addr, pte, nr);
	return pte;
}

static inline pte_t wpfile_filter_pte(struct vm_area_struct *vma,
				      unsigned long addr, pte_t pte)
{
	return wpfile_filter_ptes(vma, addr, pte, 1);
}

/* Is any page of the range protected?  For many entries under one lock. */
static inline bool wpfile_any_protected(struct vm_area_struct *vma,
					unsigned long addr, unsigned long nr)
{
	return wpfile_vma_armed(vma) && __wpfile_any_protected(vma, addr, nr);
}

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
static inline pmd_t wpfile_filter_pmd(struct vm_area_struct *vma,
				      unsigned long addr, pmd_t pmd)
{
	if (wpfile_vma_armed(vma) && pmd_write(pmd))
		return __wpfile_filter_pmd(vma, addr, pmd);
	return pmd;
}
#endif

/* Must a write fault be served with PTEs, since not all of a PMD may be written? */
static inline bool wpfile_wants_ptes(struct vm_fault *vmf)
{
	return wpfile_vma_armed(vmf->vma) && __wpfile_wants_ptes(vmf);
}

/*
 * The fault gate: before a write fault makes a page writable.  No lock held but
 * that of the fault.  Returns 0 to go on.
 */
static inline vm_fault_t wpfile_write_fault(struct vm_fault *vmf)
{
	return wpfile_shared_armed(vmf->vma) ? __wpfile_write_fault(vmf) : 0;
}

/* Is the fault gate needed?  Called under the page table lock. */
static inline bool wpfile_protected(struct vm_fault *vmf)
{
	return wpfile_shared_armed(vmf->vma) && __wpfile_protected(vmf);
}

/*
 * File gates: before a system call changes content.  The inode lock is held;
 * i_size and the content are still old.  0, with what may not be written now cut
 * off from @from; -EPERM; -ERESTARTNOINTR, and the task waits at its return to
 * user mode; -EINTR after a fatal signal.
 */
static inline int wpfile_write(struct kiocb *iocb, struct iov_iter *from)
{
	return wpfile_armed(iocb->ki_filp->f_mapping) ?
	       __wpfile_write(iocb, from) : 0;
}

static inline int wpfile_resize(struct inode *inode, loff_t size)
{
	return wpfile_armed(inode->i_mapping) ? __wpfile_resize(inode, size) : 0;
}

static inline int wpfile_punch(struct inode *inode, loff_t start, loff_t len)
{
	return wpfile_armed(inode->i_mapping) ?
	       __wpfile_punch(inode, start, len) : 0;
}

/*
 * A page is added to the file without the inode lock.  From begin to end nobody
 * sets bits, or a first monitor is not yet there: attach() waits for us.
 * Return: what end takes; -EPERM; -EINTR after a fatal signal.
 */
static inline int wpfile_fill_begin(struct inode *inode, pgoff_t index,
				    bool content)
{
	int begun = srcu_read_lock(&wpfile_fills);

	return wpfile_armed(inode->i_mapping) ?
	       __wpfile_fill_begin(inode, index, content, begun) : begun;
}

static inline void wpfile_fill_end(struct inode *inode, int begun)
{
	if (likely(begun != WPFILE_FILL_LOCKED))
		srcu_read_unlock(&wpfile_fills, begun);
	else
		filemap_invalidate_unlock_shared(inode->i_mapping);
}

/* Somebody may store to pages of a file without a fault, from now on. */
static inline void wpfile_note_pinned(struct address_space *mapping)
{
	if (!test_bit(AS_EVER_PINNED, &mapping->flags))
		set_bit(AS_EVER_PINNED, &mapping->flags);
}

/*
 * A reference to a page has been taken, with FOLL_* @flags.  Called under the
 * page table lock, or with interrupts off: the mapping stays.
 */
static inline void wpfile_note_pin(struct folio *folio, unsigned int flags)
{
	struct address_space *mapping;

	if ((flags & (FOLL_WRITE | FOLL_LOOKUP)) != FOLL_WRITE)
		return;
	mapping = READ_ONCE(folio->mapping);
	if (mapping && !((unsigned long)mapping & PAGE_MAPPING_FLAGS))
		wpfile_note_pinned(mapping);
}

#else /* !CONFIG_WPFILE */

static inline pte_t wpfile_filter_ptes(struct vm_area_struct *vma,
				       unsigned long addr, pte_t pte,
				       unsigned int nr)
{
	return pte;
}

static inline pte_t wpfile_filter_pte(struct vm_area_struct *vma,
				      unsigned long addr, pte_t pte)
{
	return pte;
}

static inline pmd_t wpfile_filter_pmd(struct vm_area_struct *vma,
				      unsigned long addr, pmd_t pmd)
{
	return pmd;
}

static inline bool wpfile_any_protected(struct vm_area_struct *vma,
					unsigned long addr, unsigned long nr)
{
	return false;
}

static inline bool wpfile_shared_armed(struct vm_area_struct *vma)
{
	return false;
}

static inline bool wpfile_wants_ptes(struct vm_fault *vmf)
{
	return false;
}

static inline vm_fault_t wpfile_write_fault(struct vm_fault *vmf)
{
	return 0;
}

static inline bool wpfile_protected(struct vm_fault *vmf)
{
	return false;
}

static inline int wpfile_write(struct kiocb *iocb, struct iov_iter *from)
{
	return 0;
}

static inline int wpfile_resize(struct inode *inode, loff_t size)
{
	return 0;
}

static inline int wpfile_punch(struct inode *inode, loff_t start, loff_t len)
{
	return 0;
}

static inline int wpfile_fill_begin(struct inode *inode, pgoff_t index,
				    bool content)
{
	return 0;
}

static inline void wpfile_fill_end(struct inode *inode, int begun)
{
}

static inline bool wpfile_truncate_begin(struct inode *inode, loff_t start,
					 loff_t end)
{
	return false;
}

static inline void wpfile_truncate_end(struct inode *inode, bool begun)
{
}

static inline int wpfile_pin_begin(struct inode *inode, loff_t start,
				   loff_t end)
{
	return 0;
}

static inline void wpfile_pin_end(struct inode *inode)
{
}

static inline void wpfile_note_pinned(struct address_space *mapping)
{
}

static inline void wpfile_note_pin(struct folio *folio, unsigned int flags)
{
}

static inline void wpfile_evict(struct inode *inode)
{
}

#define wpfile_ioctl		NULL
#define wpfile_compat_ioctl	NULL

#endif /* CONFIG_WPFILE */

/* An entry is about to be set, or to have its flags changed: mm/wpfile/check.c. */
#ifdef CONFIG_DEBUG_WPFILE
void __wpfile_check(struct page *page, unsigned long nr);

static inline void wpfile_check(struct page *page, unsigned long nr, bool write)
{
	if (write && static_branch_unlikely(&wpfile_key.key))
		__wpfile_check(page, nr);
}

static inline void wpfile_check_pte(pte_t pte)
{
	if (!pte_special(pte) && pfn_valid(pte_pfn(pte)))
		wpfile_check(pte_page(pte), 1, pte_write(pte));
}

static inline void wpfile_check_pmd(pmd_t pmd)
{
	if (pfn_valid(pmd_pfn(pmd)))
		wpfile_check(pmd_page(pmd), HPAGE_PMD_NR, pmd_write(pmd));
}
#else
static inline void wpfile_check(struct page *page, unsigned long nr, bool write)
{
}

static inline void wpfile_check_pte(pte_t pte)
{
}

static inline void wpfile_check_pmd(pmd_t pmd)
{
}
#endif

#endif /* _LINUX_WPFILE_H */
