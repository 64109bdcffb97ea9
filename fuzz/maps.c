// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The text of /proc/PID/maps, and names of mappings.  The input is a name, in its
 * first line (empty: none), and the text.  What is told of a mapping is what
 * strtoull() reads in its line; a line written anew from it tells the same; its
 * ends and its name find it, what is next to them does not.
 */
#include <errno.h>

#include "fuzz.h"
#include "maps.h"

struct look {
	const char *text;	/* which the parser changes */
	const char *original;
	size_t size;
	const char *name;
	unsigned int nr;
	int stop;		/* what the callback returns */
};

static uint64_t number(const char **s, int base, char after)
{
	uint64_t value;
	char *end;

	errno = 0;
	value = strtoull(*s, &end, base);
	property(!errno && (!after || *end == after));
	*s = end + !!after;
	return value;
}

static void check_fields(const char *line, const struct wpfile_map *map)
{
	const char *s = line;

	property(number(&s, 16, '-') == map->start);
	property(number(&s, 16, ' ') == map->end);
	property(s[3] == 's' && s[4] == ' ');
	s += 5;
	property(number(&s, 16, ' ') == map->offset);
	property(number(&s, 16, ':') == map->dev_major);
	property(number(&s, 16, ' ') == map->dev_minor);
	property(number(&s, 10, 0) == map->inode);
}

struct again {
	const struct wpfile_map *map;
	unsigned int nr;
};

static int see_again(const struct wpfile_map *map, void *data)
{
	const struct wpfile_map *first = ((struct again *)data)->map;

	((struct again *)data)->nr++;
	property(map->start == first->start && map->end == first->end);
	property(map->offset == first->offset && map->inode == first->inode);
	property(map->dev_major == first->dev_major);
	property(map->dev_minor == first->dev_minor);
	property(!strcmp(map->name, first->name));
	return 0;
}

static void check_written_anew(const struct wpfile_map *map)
{
	struct again again = { .map = map };
	char *line;

	property(asprintf(&line, "%lx-%lx rw-s %08lx %02x:%02x %lu   %s\n",
			  map->start, map->end, map->offset, map->dev_major,
			  map->dev_minor, map->inode, map->name) > 0);
	property(!wpfile_maps_text(line, NULL, see_again, &again));
	property(again.nr == 1);
	free(line);
}

static bool found_by_address(const struct wpfile_map *map, uint64_t address)
{
	char name[32];

	snprintf(name, sizeof(name), "0x%lx", address);
	return wpfile_map_matches(map, name);
}

static bool found_by_range(const struct wpfile_map *map, uint64_t start,
			   uint64_t end)
{
	char name[64];

	snprintf(name, sizeof(name), "%lx-%lX", start, end);
	return wpfile_map_matches(map, name);
}

static void check_addresses(const struct wpfile_map *map)
{
	bool empty = map->start >= map->end;

	property(found_by_address(map, map->start) == !empty);
	property(!found_by_address(map, map->end));
	if (!empty)
		property(found_by_address(map, map->end - 1));
	if (map->start)
		property(!found_by_address(map, map->start - 1));
	if (!map->end)
		return;
	property(found_by_range(map, map->start, map->end));
	property(!found_by_range(map, map->start + 1, map->end));
	property(!found_by_range(map, map->start, map->end ^ 1));
}

static bool may_be_address(const char *name)
{
	return name[strspn(name, "0123456789abcdefABCDEFxX-")] == '\0';
}

static bool found_by_name(const struct wpfile_map *map, const char *name,
			  size_t length, const char *more, bool otherwise)
{
	bool found = otherwise;
	char *copy;

	property(asprintf(&copy, "%.*s%s", (int)length, name, more) >= 0);
	if (!may_be_address(copy))
		found = wpfile_map_matches(map, copy);
	free(copy);
	return found;
}

static void check_names(const struct wpfile_map *map)
{
	size_t length = strlen(map->name);
	const char *deleted = " (deleted)";
	size_t tail = strlen(deleted);

	property(found_by_name(map, map->name, length, "", true));
	property(!found_by_name(map, map->name, length, "+", false));
	if (*map->name == '/' && map->name[1] != '/')
		property(found_by_name(map, map->name + 1, length - 1, "", true));
	if (length > 1)
		property(!found_by_name(map, map->name, length - 1, "", false));
	if (length >= tail && !strcmp(map->name + length - tail, deleted))
		property(found_by_name(map, map->name, length - tail, "", true));
}

static int see(const struct wpfile_map *map, void *data)
{
	struct look *look = data;
	const char *line;

	look->nr++;
	property(map->name > look->text &&
		 map->name <= look->text + look->size);
	line = look->original + (map->name - look->text);
	while (line > look->original && line[-1] != '\n')
		line--;
	check_fields(line, map);
	check_written_anew(map);
	check_addresses(map);
	check_names(map);
	if (look->name)
		property(wpfile_map_matches(map, look->name));
	return look->stop;
}

static unsigned int look(const char *name, const char *text, size_t size,
			 int stop)
{
	char *copy = fuzz_text_dup(text, size);
	struct look look = {
		.text = copy, .original = text, .size = size,
		.name = name, .stop = stop,
	};
	int ret = wpfile_maps_text(copy, name, see, &look);

	property(ret == (look.nr ? stop : 0));
	free(copy);
	return look.nr;
}

static unsigned int count_lines(const char *text)
{
	unsigned int nr = 1;

	for (; *text; text++)
		nr += *text == '\n';
	return nr;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *input = fuzz_text_dup(data, size), *text;
	unsigned int all, matching;

	text = strchr(input, '\n');
	if (text) {
		*text++ = '\0';
		size = strlen(text);
		all = look(NULL, text, size, 0);
		property(all <= count_lines(text));
		matching = look(*input ? input : NULL, text, size, 0);
		property(matching <= all);
		property(look(NULL, text, size, -7) == !!all);
	}
	free(input);
	return 0;
}
