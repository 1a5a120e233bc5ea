/* The copy and its file, see cache.h: a sorted array, looked through by halves. */
#include "examples/cache/cache.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void die(const char *what, const char *path)
{
    fprintf(stderr, "cache: cannot %s %s\n", what, path);
    exit(1);
}

/* The place of a key, or where it would be; *found says which. */
static int place_of(const struct cache *c, const char *key, int *found)
{
    int low = 0;
    int high = c->count;
    while (low < high) {
        int middle = (low + high) / 2;
        if (strcmp(c->items[middle].key, key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *found = low < c->count && strcmp(c->items[low].key, key) == 0;
    return low;
}

void cache_clear(struct cache *c)
{
    c->count = 0;
}

void cache_put(struct cache *c, const char *key, const char *state, uint64_t fencing_token)
{
    int found;
    int at = place_of(c, key, &found);
    if (!found) {
        if (c->count == CACHE_KEYS_MAX) die("keep so many keys, watch a longer prefix:", key);
        memmove(&c->items[at + 1], &c->items[at], (size_t)(c->count - at) * sizeof c->items[0]);
        c->count += 1;
    }
    struct cached *item = &c->items[at];
    (void)snprintf(item->key, sizeof item->key, "%s", key);
    (void)snprintf(item->state, sizeof item->state, "%s", state);
    item->fencing_token = fencing_token;
}

void cache_drop(struct cache *c, const char *key)
{
    int found;
    int at = place_of(c, key, &found);
    if (!found) return;
    c->count -= 1;
    memmove(&c->items[at], &c->items[at + 1], (size_t)(c->count - at) * sizeof c->items[0]);
}

/* A key may hold anything but NUL: what could be a line's end stands as %XX in the file. */
static void write_key(FILE *file, const char *key)
{
    for (const char *p = key; *p != '\0'; p++) {
        unsigned byte = (unsigned char)*p;
        if (byte < ' ' || byte == '%') {
            fprintf(file, "%%%02X", byte);
        } else {
            (void)fputc(*p, file);
        }
    }
}

/* The key that was written so, in its place. \return 0: it was not. */
static int read_key(char *key)
{
    char *to = key;
    for (const char *from = key; *from != '\0'; from++) {
        char *end = NULL;
        *to = *from;
        if (*from == '%') {
            char digits[] = {from[1], from[1] != '\0' ? from[2] : '\0', '\0'};
            *to = (char)strtoul(digits, &end, 16);
            if (end != digits + 2 || *to == '\0') return 0;
            from += 2;
        }
        to++;
    }
    *to = '\0';
    return to - key < CACHE_KEY_BYTES;
}

/* "STATE TOKEN KEY" and a line's end. \return 0: it is none. */
static int take_line(struct cache *c, char *line)
{
    char *token = strchr(line, ' ');
    char *newline = strchr(line, '\n');
    if (token == NULL || newline == NULL || token - line >= CACHE_STATE_BYTES) return 0;
    *token++ = '\0';
    *newline = '\0';
    char *key = NULL;
    uint64_t number = strtoull(token, &key, 10);
    if (key == token || *key != ' ' || !read_key(key + 1)) return 0;
    cache_put(c, key + 1, line, number);
    return 1;
}

void cache_open(struct cache *c, const char *path)
{
    c->items = calloc(CACHE_KEYS_MAX, sizeof *c->items);
    if (c->items == NULL) die("find memory for", path);
    FILE *file = fopen(path, "r");
    if (file == NULL) return;
    char line[3 * CACHE_KEY_BYTES + CACHE_STATE_BYTES + 32];
    char *end = NULL;
    if (fgets(line, sizeof line, file) == NULL || strncmp(line, "next ", 5) != 0) die("read", path);
    c->next = strtoull(line + 5, &end, 10);
    if (*end != '\n') die("read", path);
    while (fgets(line, sizeof line, file) != NULL) {
        if (!take_line(c, line)) die("read", path);
    }
    if (ferror(file)) die("read", path);
    (void)fclose(file);
}

void cache_save(const struct cache *c, const char *path)
{
    char draft[4096];
    if (snprintf(draft, sizeof draft, "%s.new", path) >= (int)sizeof draft) die("name", path);
    FILE *file = fopen(draft, "w");
    if (file == NULL) die("write", draft);
    fprintf(file, "next %" PRIu64 "\n", c->next);
    for (int i = 0; i < c->count; i++) {
        const struct cached *item = &c->items[i];
        fprintf(file, "%s %" PRIu64 " ", item->state, item->fencing_token);
        write_key(file, item->key);
        (void)fputc('\n', file);
    }
    int failed = fflush(file) != 0 || fsync(fileno(file)) != 0;
    if (fclose(file) != 0 || failed || rename(draft, path) != 0) die("write", path);
}
