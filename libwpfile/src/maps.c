// SPDX-License-Identifier: LGPL-2.1-or-later
/* The mappings of a process, as /proc/PID/maps shows them. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "maps.h"
#include "number.h"
#include "sys.h"

#define DELETED " (deleted)"

static const char *parse_hex(const char *s, uint64_t *ret)
{
	return wpfile_parse_number(s, 16, ret);
}

/* "START-END rwxs OFFSET MAJOR:MINOR INODE   NAME" */
static bool parse_line(const char *line, struct wpfile_map *map, bool *shared)
{
	uint64_t major, minor;
	const char *s = line;

	if (!(s = wpfile_expect(parse_hex(s, &map->start), '-')) ||
	    !(s = wpfile_expect(parse_hex(s, &map->end), ' ')) ||
	    strnlen(s, 5) < 5 || s[4] != ' ')
		return false;
	*shared = s[3] == 's';
	if (!(s = wpfile_expect(parse_hex(s + 5, &map->offset), ' ')) ||
	    !(s = wpfile_expect(parse_hex(s, &major), ':')) ||
	    !(s = wpfile_expect(parse_hex(s, &minor), ' ')) ||
	    !(s = wpfile_parse_number(s, 10, &map->inode)) ||
	    major > UINT32_MAX || minor > UINT32_MAX)
		return false;
	map->dev_major = major;
	map->dev_minor = minor;
	map->name = s + strspn(s, " ");
	return true;
}

/* A lone address, or both ends; @ret_end is 0 if there is only one. */
static bool parse_address(const char *name, uint64_t *ret_start,
			  uint64_t *ret_end)
{
	if (name[0] == '0' && (name[1] | 0x20) == 'x')
		name += 2;
	name = parse_hex(name, ret_start);
	if (!name)
		return false;
	*ret_end = 0;
	if (!*name)
		return true;
	name = wpfile_expect(name, '-');
	if (name && name[0] == '0' && (name[1] | 0x20) == 'x')
		name += 2;
	name = name ? parse_hex(name, ret_end) : NULL;
	return name && !*name && *ret_end;
}

static bool name_matches(const char *shown, const char *name)
{
	size_t len = strlen(name);

	if (*shown == '/' && *name != '/')
		shown++;
	return !strncmp(shown, name, len) &&
	       (!shown[len] || !strcmp(shown + len, DELETED));
}

bool wpfile_map_matches(const struct wpfile_map *map, const char *name)
{
	uint64_t start, end;

	if (!parse_address(name, &start, &end))
		return name_matches(map->name, name);
	if (end)
		return start == map->start && end == map->end;
	return start >= map->start && start < map->end;
}

int wpfile_maps_text(char *text, const char *name, wpfile_map_fn fn, void *data)
{
	struct wpfile_map map;
	char *line, *next;
	bool shared;
	int ret;

	for (line = text; line && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (!parse_line(line, &map, &shared) || !shared)
			continue;
		if (name && !wpfile_map_matches(&map, name))
			continue;
		ret = fn(&map, data);
		if (ret)
			return ret;
	}
	return 0;
}

/* Grows @buffer until the file is at its end; the text ends with a zero byte. */
static int read_all(int fd, char **ret_text)
{
	size_t size = 0, room = 65536;
	char *text = NULL, *larger;
	int64_t got;

	do {
		if (!text || size + 1 >= room) {
			room *= text ? 2 : 1;
			larger = sys_alloc(realloc(text, room));
			if (!larger) {
				free(text);
				return -ENOMEM;
			}
			text = larger;
		}
		got = sys_retry(read(fd, text + size, room - size - 1));
		if (got > 0)
			size += got;
	} while (got > 0);
	if (got < 0) {
		free(text);
		return got;
	}
	text[size] = '\0';
	*ret_text = text;
	return 0;
}

int wpfile_each_map(pid_t pid, const char *name, wpfile_map_fn fn, void *data)
{
	char path[64], *text;
	int fd, ret;

	if (name && !*name)
		return -EINVAL;
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	fd = sys(open(path, O_RDONLY | O_CLOEXEC));
	if (fd < 0)
		return fd == -ENOENT ? -ESRCH : fd;
	ret = read_all(fd, &text);
	sys(close(fd));
	if (ret)
		return ret;
	ret = wpfile_maps_text(text, name, fn, data);
	free(text);
	return ret;
}
