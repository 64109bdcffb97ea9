/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A user's first program: does this kernel have wpfile? */
#include <errno.h>
#include <stdio.h>

#include <wpfile.h>

int main(void)
{
	struct wpfile_query query = { .size = sizeof(query) };
	int ret = wpfile_query_system(&query);

	if (ret == -ENOSYS)
		puts("no wpfile");
	else if (!ret)
		printf("features %#llx\n", (unsigned long long)query.ret_features);
	return ret && ret != -ENOSYS;
}
