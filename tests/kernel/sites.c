// SPDX-License-Identifier: GPL-2.0-only
/*
 * The filter: every place in core mm that can make an entry writable without a
 * write fault.  A test makes the mapping, arms a monitor, lets the event happen
 * that could do so, proves that it happened (or skips), and stores:
 *
 *	TRACK		the store must be reported
 *	snapshot	what was there must be in the snapshot
 *
 * The site that needs no event but a race, wp_shared_gate(), is in reuse.c
 * and mirror.c; the races with fork, mremap and munmap in races.c.
 */
#include "harness.h"
#include "ways.h"
#include <linux/userfaultfd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

#define PAGES 16
#define MTHP_64K "/sys/kernel/mm/transparent_hugepage/hugepages-64kB/shmem_enabled"

/* clang-format off */
FIXTURE(site) {
	struct area area;
	int watch;
};

FIXTURE_VARIANT(site) {
	bool snapshot;
};

FIXTURE_VARIANT_ADD(site, track) { .snapshot = false };
FIXTURE_VARIANT_ADD(site, snapshot) { .snapshot = true };
/* clang-format on */

FIXTURE_SETUP(site)
{
	self->watch = -1;
	self->area.fd = -1;
}

FIXTURE_TEARDOWN(site)
{
	if (self->watch >= 0)
		close(self->watch);
	area_free(&self->area);
}

static int arm(FIXTURE_DATA(site) *self, const FIXTURE_VARIANT(site) *variant)
{
	self->watch = variant->snapshot ?
			      area_snapshot(&self->area) :
			      area_protect(&self->area, WPFILE_TRACK);
	return self->watch;
}

static void store(struct area *area, size_t page)
{
	way_store(area, page);
}

static void load(struct area *area, size_t page)
{
	*(volatile char *)(area->map + page * PAGE);
}

static char *page_at(struct area *area, size_t page)
{
	return area->map + page * PAGE;
}

/* Of the store to @page. */
static void expect_seen(struct __test_metadata *const _metadata,
			FIXTURE_DATA(site) *self,
			const FIXTURE_VARIANT(site) *variant, size_t page)
{
	struct pages seen, changed;

	changed_pages(&self->area, &changed);
	ASSERT_TRUE(changed.has[page]);
	if (variant->snapshot) {
		EXPECT_STREQ("same", compare(self->watch, self->area.before,
					     self->area.size));
		return;
	}
	ASSERT_EQ(0, scan_pages(self->watch, WPFILE_SCAN_PROTECT, &seen));
	EXPECT_TRUE(seen.has[page])
		TH_LOG("reported: %s", pages_text(&seen));
}

/* --- set_pte_range(): mappings made by a read are writable by default --- */

TEST_F(site, set_pte_range__store_after_a_read_fault)
{
	ASSERT_EQ(0, area_make_filled(&self->area, MEMFD, PAGES * PAGE));
	ASSERT_LE(0, arm(self, variant));
	load(&self->area, 3);
	ASSERT_TRUE(is_mapped(page_at(&self->area, 3)));
	store(&self->area, 3);
	expect_seen(_metadata, self, variant, 3);
}

TEST_F(site, set_pte_range__store_after_populate)
{
	ASSERT_EQ(0, area_make_filled(&self->area, MEMFD, PAGES * PAGE));
	area_unmap(&self->area);
	ASSERT_LE(0, arm(self, variant));
	self->area.map = mmap(NULL, self->area.size, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_POPULATE, self->area.fd, 0);
	ASSERT_NE(MAP_FAILED, self->area.map);
	ASSERT_TRUE(is_mapped(page_at(&self->area, 5)));
	store(&self->area, 5);
	expect_seen(_metadata, self, variant, 5);
}

/* Around the page that is read no protected one gets an entry. */
TEST_F(site, fault_around__store_beside_a_read_fault)
{
	ASSERT_EQ(0, area_make_filled(&self->area, MEMFD, PAGES * PAGE));
	load(&self->area, 3);
	SKIP_UNLESS(is_mapped(page_at(&self->area, 5)), "no fault-around");
	ASSERT_EQ(0, madvise(self->area.map, self->area.size, MADV_DONTNEED));
	ASSERT_LE(0, arm(self, variant));
	load(&self->area, 3);
	store(&self->area, 5);
	expect_seen(_metadata, self, variant, 5);
}

/* The entries were writable; the same mapping gets new ones by reading. */
TEST_F(site, set_pte_range__store_after_dontneed_and_a_read_fault)
{
	ASSERT_EQ(0, area_make_filled(&self->area, MEMFD, PAGES * PAGE));
	area_touch(&self->area);
	ASSERT_LE(0, arm(self, variant));
	ASSERT_EQ(0, madvise(self->area.map, self->area.size, MADV_DONTNEED));
	ASSERT_FALSE(is_mapped(page_at(&self->area, 3)));
	load(&self->area, 3);
	store(&self->area, 3);
	expect_seen(_metadata, self, variant, 3);
}

TEST_F(site, set_pte_range__store_after_reading_from_swap)
{
	ASSERT_EQ(0, area_make_filled(&self->area, MEMFD, PAGES * PAGE));
	area_touch(&self->area);
	ASSERT_LE(0, arm(self, variant));
	SWAP_OUT(&self->area);
	load(&self->area, 3);
	ASSERT_TRUE(is_mapped(page_at(&self->area, 3)));
	store(&self->area, 3);
	expect_seen(_metadata, self, variant, 3);
}

/* A huge folio that can only be mapped by small entries: misaligned. */
TEST_F(site, fault_around__store_beside_a_read_fault_in_a_large_folio)
{
	char *room;

	ASSERT_EQ(0, area_make_filled(&self->area, TMPFS_HUGE, HUGE));
	load(&self->area, 0);
	SKIP_UNLESS(area_is_huge(&self->area), "got no huge page");
	area_unmap(&self->area);
	room = map_file(self->area.fd, 2 * HUGE, PROT_READ);
	ASSERT_NE(NULL, room);
	self->area.map = mmap(room + PAGE, HUGE, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_FIXED, self->area.fd, 0);
	ASSERT_EQ(room + PAGE, self->area.map);
	load(&self->area, 35);
	SKIP_UNLESS(is_mapped(page_at(&self->area, 37)), "no fault-around");
	ASSERT_FALSE(map_is_huge(self->area.map, PAGE));
	ASSERT_EQ(0, madvise(self->area.map, HUGE, MADV_DONTNEED));
	ASSERT_LE(0, arm(self, variant));
	load(&self->area, 35);
	store(&self->area, 37);
	expect_seen(_metadata, self, variant, 37);
}

/* Folios of 64 KiB, which a write fault maps whole. */
static int make_mthp(struct area *area)
{
	size_t i;
	int ret = file_write(MTHP_64K, "always");

	if (!ret)
		ret = area_make(area, MEMFD, PAGES * PAGE) ?: area_map(area);
	for (i = 0; !ret && i < PAGES; i++) {
		fill(page_at(area, i), i, 1);
		fill(area->before + i * PAGE, i, 1);
	}
	file_write(MTHP_64K, "never");
	return ret;
}

TEST_F(site, set_pte_range__store_beside_a_write_fault_in_a_large_folio)
{
	SKIP_UNLESS(!make_mthp(&self->area), "no folios of 64 KiB");
	area_unmap(&self->area);
	ASSERT_EQ(0, area_map(&self->area));
	ASSERT_LE(0, arm(self, variant));
	store(&self->area, 3);
	SKIP_UNLESS(is_mapped(page_at(&self->area, 5)),
		    "a write fault does not map the whole folio");
	expect_seen(_metadata, self, variant, 3);
	store(&self->area, 5);
	expect_seen(_metadata, self, variant, 5);
}

/* --- do_set_pmd() --- */

TEST_F(site, do_set_pmd__store_after_a_huge_read_fault)
{
	ASSERT_EQ(0, area_make_filled(&self->area, TMPFS_HUGE, HUGE));
	area_unmap(&self->area);
	ASSERT_LE(0, arm(self, variant));
	ASSERT_EQ(0, area_map(&self->area));
	load(&self->area, 3);
	SKIP_UNLESS(area_is_huge(&self->area), "got no huge mapping");
	store(&self->area, 35);
	expect_seen(_metadata, self, variant, 35);
}

/* Only one page is protected; the write fault is in another one. */
TEST_F(site, do_set_pmd__store_beside_a_huge_write_fault)
{
	ASSERT_EQ(0, area_make_filled(&self->area, TMPFS_HUGE, HUGE));
	load(&self->area, 0);
	SKIP_UNLESS(area_is_huge(&self->area), "got no huge page");
	area_unmap(&self->area);
	ASSERT_LE(0, arm(self, variant));
	if (!variant->snapshot) {
		ASSERT_EQ(0, wp_unprotect(self->watch, 0, WPFILE_TO_END));
		ASSERT_EQ(0, wp_protect(self->watch, 35 * PAGE, PAGE));
	}
	ASSERT_EQ(0, area_map(&self->area));
	store(&self->area, 3);
	store(&self->area, 35);
	expect_seen(_metadata, self, variant, 35);
}

TEST_F(site, do_set_pmd__store_after_collapse)
{
	ASSERT_EQ(0, area_make_filled(&self->area, MEMFD, HUGE));
	area_touch(&self->area);
	ASSERT_FALSE(area_is_huge(&self->area));
	ASSERT_LE(0, arm(self, variant));
	SKIP_UNLESS(!madvise(self->area.map, HUGE, MADV_COLLAPSE),
		    "cannot collapse: %s", strerror(errno));
	load(&self->area, 3);
	SKIP_UNLESS(area_is_huge(&self->area), "collapsed, but not mapped so");
	store(&self->area, 35);
	expect_seen(_metadata, self, variant, 35);
}

/* A huge entry over a page table of another process' making. */
TEST_F(site, do_set_pmd__second_mapping_of_a_file_that_is_written_already)
{
	char *second;

	ASSERT_EQ(0, area_make_filled(&self->area, TMPFS_HUGE, HUGE));
	area_touch(&self->area);
	SKIP_UNLESS(area_is_huge(&self->area), "got no huge mapping");
	ASSERT_LE(0, arm(self, variant));
	store(&self->area, 3);
	expect_seen(_metadata, self, variant, 3);
	second = map_file(self->area.fd, HUGE, PROT_READ | PROT_WRITE);
	ASSERT_NE(NULL, second);
	*(volatile char *)second;
	*(volatile char *)(second + 35 * PAGE) = 's';
	expect_seen(_metadata, self, variant, 35);
}

/* --- change_pte_range() and change_huge_pmd() --- */

static int mprotect_all(struct area *area, int prot)
{
	return mprotect(area->map, area->size, prot);
}

TEST_F(site, change_pte_range__store_after_mprotect)
{
	ASSERT_EQ(0, area_make_filled(&self->area, MEMFD, PAGES * PAGE));
	area_touch(&self->area);
	ASSERT_LE(0, arm(self, variant));
	ASSERT_EQ(0, mprotect_all(&self->area, PROT_READ));
	ASSERT_EQ(0, mprotect_all(&self->area, PROT_READ | PROT_WRITE));
	ASSERT_TRUE(is_mapped(page_at(&self->area, 3)));
	store(&self->area, 3);
	expect_seen(_metadata, self, variant, 3);
}

TEST_F(site, change_pte_range__store_after_mprotect_from_none)
{
	ASSERT_EQ(0, area_make_filled(&self->area, MEMFD, PAGES * PAGE));
	area_touch(&self->area);
	ASSERT_EQ(0, mprotect_all(&self->area, PROT_NONE));
	ASSERT_LE(0, arm(self, variant));
	ASSERT_EQ(0, mprotect_all(&self->area, PROT_READ | PROT_WRITE));
	store(&self->area, 3);
	expect_seen(_metadata, self, variant, 3);
}

/* With soft-dirty tracking on, mprotect() makes dirty entries writable. */
TEST_F(site, change_pte_range__store_after_mprotect_with_soft_dirty)
{
	ASSERT_EQ(0, area_make_filled(&self->area, MEMFD, PAGES * PAGE));
	area_touch(&self->area);
	SKIP_UNLESS(!file_write("/proc/self/clear_refs", "4"), "no soft-dirty");
	area_touch(&self->area);
	ASSERT_LE(0, arm(self, variant));
	ASSERT_EQ(0, mprotect_all(&self->area, PROT_READ));
	ASSERT_EQ(0, mprotect_all(&self->area, PROT_READ | PROT_WRITE));
	ASSERT_TRUE(is_mapped(page_at(&self->area, 3)));
	store(&self->area, 3);
	expect_seen(_metadata, self, variant, 3);
}

/* Both on one mapping: lifting the one must not lift the other. */
TEST_F(site, change_pte_range__store_after_uffd_wp_is_lifted)
{
	int uffd = uffd_open(0);

	SKIP_UNLESS(uffd >= 0, "no userfaultfd");
	ASSERT_EQ(0, area_make_filled(&self->area, MEMFD, PAGES * PAGE));
	area_touch(&self->area);
	SKIP_UNLESS(!uffd_register(uffd, self->area.map, self->area.size,
				   UFFDIO_REGISTER_MODE_WP),
		    "no uffd-wp on shmem");
	ASSERT_EQ(0, uffd_writeprotect(uffd, self->area.map,
				       self->area.size, true));
	ASSERT_LE(0, arm(self, variant));
	ASSERT_EQ(0, uffd_writeprotect(uffd, self->area.map,
				       self->area.size, false));
	ASSERT_TRUE(is_mapped(page_at(&self->area, 3)));
	store(&self->area, 3);
	expect_seen(_metadata, self, variant, 3);
	close(uffd);
}

TEST_F(site, change_huge_pmd__store_after_mprotect)
{
	ASSERT_EQ(0, area_make_filled(&self->area, TMPFS_HUGE, HUGE));
	area_touch(&self->area);
	SKIP_UNLESS(area_is_huge(&self->area), "got no huge mapping");
	ASSERT_LE(0, arm(self, variant));
	ASSERT_TRUE(area_is_huge(&self->area));
	ASSERT_EQ(0, mprotect_all(&self->area, PROT_READ));
	ASSERT_EQ(0, mprotect_all(&self->area, PROT_READ | PROT_WRITE));
	ASSERT_TRUE(area_is_huge(&self->area));
	store(&self->area, 35);
	expect_seen(_metadata, self, variant, 35);
}

/* mprotect() of one page splits the huge entry. */
TEST_F(site, change_pte_range__store_after_a_huge_entry_was_split)
{
	ASSERT_EQ(0, area_make_filled(&self->area, TMPFS_HUGE, HUGE));
	area_touch(&self->area);
	SKIP_UNLESS(area_is_huge(&self->area), "got no huge mapping");
	ASSERT_LE(0, arm(self, variant));
	ASSERT_EQ(0, mprotect(page_at(&self->area, 35), PAGE, PROT_READ));
	ASSERT_FALSE(area_is_huge(&self->area));
	load(&self->area, 35);
	load(&self->area, 36);
	ASSERT_EQ(0, mprotect_all(&self->area, PROT_READ | PROT_WRITE));
	store(&self->area, 35);
	expect_seen(_metadata, self, variant, 35);
	store(&self->area, 36);
	expect_seen(_metadata, self, variant, 36);
}

/* --- NUMA hinting: numa_rebuild_*_mapping(), do_huge_pmd_numa_page() --- */

static void store_after_hint(struct __test_metadata *const _metadata,
			     FIXTURE_DATA(site) *self,
			     const FIXTURE_VARIANT(site) *variant,
			     size_t hint_page, size_t store_page)
{
	int ret;

	area_touch(&self->area);
	ASSERT_LE(0, arm(self, variant));
	ret = numa_hint(&self->area, hint_page);
	SKIP_UNLESS(!ret, "no NUMA hinting fault: %s", strerror(-ret));
	store(&self->area, store_page);
	expect_seen(_metadata, self, variant, store_page);
}

TEST_F(site, numa_rebuild_single_mapping__store_after_a_hint)
{
	ASSERT_EQ(0, area_make_filled(&self->area, MEMFD, PAGES * PAGE));
	store_after_hint(_metadata, self, variant, 3, 3);
}

TEST_F(site, numa_rebuild_large_mapping__store_beside_a_hint)
{
	SKIP_UNLESS(!make_mthp(&self->area), "no folios of 64 KiB");
	store_after_hint(_metadata, self, variant, 3, 5);
}

TEST_F(site, do_huge_pmd_numa_page__store_after_a_hint)
{
	ASSERT_EQ(0, area_make_filled(&self->area, TMPFS_HUGE, HUGE));
	area_touch(&self->area);
	SKIP_UNLESS(area_is_huge(&self->area), "got no huge mapping");
	store_after_hint(_metadata, self, variant, 3, 35);
}

/* --- remove_migration_pte() and remove_migration_pmd() --- */

TEST_F(site, remove_migration_pte__store_after_migration)
{
	unsigned long frame;

	SKIP_UNLESS(nr_nodes() > 1, "one NUMA node only");
	ASSERT_EQ(0, area_make_filled(&self->area, MEMFD, PAGES * PAGE));
	area_touch(&self->area);
	ASSERT_EQ(0, move_to_node(page_at(&self->area, 3), 0));
	ASSERT_LE(0, arm(self, variant));
	frame = frame_of(page_at(&self->area, 3));
	ASSERT_EQ(0, move_to_node(page_at(&self->area, 3), 1));
	ASSERT_TRUE(is_mapped(page_at(&self->area, 3)));
	ASSERT_NE(frame, frame_of(page_at(&self->area, 3)));
	store(&self->area, 3);
	expect_seen(_metadata, self, variant, 3);
}

TEST_F(site, remove_migration_pmd__store_after_migration)
{
	unsigned long frame;

	SKIP_UNLESS(nr_nodes() > 1, "one NUMA node only");
	ASSERT_EQ(0, area_make_filled(&self->area, TMPFS_HUGE, HUGE));
	area_touch(&self->area);
	SKIP_UNLESS(area_is_huge(&self->area), "got no huge mapping");
	SKIP_UNLESS(!move_to_node(self->area.map, 0), "no huge page on node 0");
	ASSERT_LE(0, arm(self, variant));
	frame = frame_of(self->area.map);
	SKIP_UNLESS(!move_to_node(self->area.map, 1), "no huge page on node 1");
	ASSERT_NE(frame, frame_of(self->area.map));
	SKIP_UNLESS(area_is_huge(&self->area), "was split by the migration");
	store(&self->area, 35);
	expect_seen(_metadata, self, variant, 35);
}

/* The huge folio is mapped by small entries. */
TEST_F(site, remove_migration_pte__store_after_migration_of_a_large_folio)
{
	SKIP_UNLESS(nr_nodes() > 1, "one NUMA node only");
	SKIP_UNLESS(!make_mthp(&self->area), "no folios of 64 KiB");
	SKIP_UNLESS(!move_to_node(self->area.map, 0), "cannot move it");
	ASSERT_LE(0, arm(self, variant));
	SKIP_UNLESS(!move_to_node(self->area.map, 1), "cannot move it");
	ASSERT_TRUE(is_mapped(page_at(&self->area, 5)));
	store(&self->area, 5);
	expect_seen(_metadata, self, variant, 5);
}

/* --- mfill_atomic_install_pte() --- */

TEST_F(site, mfill_atomic_install_pte__store_after_uffd_continue)
{
	int uffd = uffd_open(0);

	SKIP_UNLESS(uffd >= 0, "no userfaultfd");
	ASSERT_EQ(0, area_make_filled(&self->area, MEMFD, PAGES * PAGE));
	SKIP_UNLESS(!uffd_register(uffd, self->area.map, self->area.size,
				   UFFDIO_REGISTER_MODE_MINOR),
		    "no minor faults of shmem");
	ASSERT_LE(0, arm(self, variant));
	ASSERT_EQ(0, uffd_continue(uffd, page_at(&self->area, 3)));
	ASSERT_TRUE(is_mapped(page_at(&self->area, 3)));
	store(&self->area, 3);
	expect_seen(_metadata, self, variant, 3);
	close(uffd);
}

/* Zeros in a hole change nothing; the store to the new page does. */
TEST_F(site, mfill_atomic_install_pte__store_after_uffd_zeropage)
{
	int uffd = uffd_open(0);

	SKIP_UNLESS(uffd >= 0, "no userfaultfd");
	ASSERT_EQ(0, area_make(&self->area, MEMFD, PAGES * PAGE));
	ASSERT_EQ(0, area_map(&self->area));
	ASSERT_EQ(0, uffd_register(uffd, self->area.map, self->area.size,
				   UFFDIO_REGISTER_MODE_MISSING));
	ASSERT_LE(0, arm(self, variant));
	ASSERT_EQ(0, uffd_zeropage(uffd, page_at(&self->area, 3)));
	ASSERT_TRUE(is_mapped(page_at(&self->area, 3)));
	store(&self->area, 3);
	expect_seen(_metadata, self, variant, 3);
	close(uffd);
}

/* UFFDIO_COPY is a write; the store after a new look must be seen as well. */
TEST_F(site, mfill_atomic_install_pte__store_after_uffd_copy)
{
	ASSERT_EQ(0, area_make(&self->area, MEMFD, PAGES * PAGE));
	ASSERT_EQ(0, area_map(&self->area));
	ASSERT_LE(0, arm(self, variant));
	SKIP_UNLESS(!way_uffd_copy(&self->area, 3), "no UFFDIO_COPY");
	expect_seen(_metadata, self, variant, 3);
	store(&self->area, 3);
	expect_seen(_metadata, self, variant, 3);
}

/* --- fork: entries are copied --- */

static long store_in_worker(void *argument, long page)
{
	store(argument, page);
	return 0;
}

TEST_F(site, copy_present_pte__store_in_a_child_with_uffd_wp)
{
	struct worker worker;

	ASSERT_EQ(0, area_make_filled(&self->area, MEMFD, PAGES * PAGE));
	/* With uffd-wp registered, entries of shared mappings are copied. */
	SKIP_UNLESS(!uffd_register_for_fork(self->area.map, self->area.size),
		    "no fork events of userfaultfd");
	area_touch(&self->area);
	ASSERT_LE(0, arm(self, variant));
	ASSERT_EQ(0, worker_start(&worker));
	ASSERT_EQ(0, worker_call(&worker, store_in_worker, &self->area, 3));
	expect_seen(_metadata, self, variant, 3);
	worker_stop(&worker);
}

TEST_HARNESS_MAIN
