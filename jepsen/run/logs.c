#define _XOPEN_SOURCE 700 /* nftw */
#include "jepsen/run/logs.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"

enum { LINE_BYTES = 4096, OPEN_MAX_OF_WALK = 16 };

static const char *const patterns[] = {
    "assertion failed", "Assertion",   "AddressSanitizer", "ThreadSanitizer", "LeakSanitizer",
    "runtime error:",   "level=fatal", "defect:",          "Segmentation",    "stack smashing",
};

static void look_at_log(struct world *w, const char *path)
{
    char line[LINE_BYTES];
    FILE *file = fopen(path, "r");
    if (file == NULL && errno == ENOENT) return; /* it was never started */
    if (file == NULL) {
        world_fail(w, "%s cannot be read", path);
        return;
    }
    while (fgets(line, sizeof line, file) != NULL) {
        for (size_t i = 0; i < HF_ARRAY_COUNT(patterns); i++) {
            if (strstr(line, patterns[i]) == NULL) continue;
            line[strcspn(line, "\n")] = '\0';
            world_fail(w, "%s says: %.160s", path + strlen(w->plan->out) + 1, line);
            break;
        }
    }
    fclose(file);
}

static void look_for_core(struct world *w, const char *folder)
{
    DIR *open = opendir(folder);
    if (open == NULL) return;
    for (struct dirent *e; (e = readdir(open)) != NULL;) {
        if (strcmp(e->d_name, "core") == 0 || strncmp(e->d_name, "core.", 5) == 0)
            world_fail(w, "there is a core file: %s/%s", folder + strlen(w->plan->out) + 1,
                       e->d_name);
    }
    closedir(open);
}

void logs_look(struct world *w)
{
    char folder[RUN_PATH_BYTES * 2], path[RUN_PATH_BYTES * 2 + 32];
    for (unsigned i = 0; i < w->plan->servers; i++) {
        servers_folder(&w->servers, i, folder);
        snprintf(path, sizeof path, "%s/log", folder);
        look_at_log(w, path);
        look_for_core(w, folder);
    }
    for (unsigned i = 0; i < w->plan->clients; i++) {
        snprintf(path, sizeof path, "%s/client-%u.log", w->plan->out, i + 1);
        look_at_log(w, path);
    }
    snprintf(path, sizeof path, "%s/resources", w->plan->out);
    look_for_core(w, path);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    return remove(path);
}

void logs_tidy(const struct world *w)
{
    char folder[RUN_PATH_BYTES * 2], path[RUN_PATH_BYTES * 2 + 32];
    for (unsigned i = 0; i < w->plan->servers; i++) {
        servers_folder(&w->servers, i, folder);
        snprintf(path, sizeof path, "%s/data", folder);
        (void)nftw(path, remove_one, OPEN_MAX_OF_WALK, FTW_DEPTH | FTW_PHYS);
    }
}
