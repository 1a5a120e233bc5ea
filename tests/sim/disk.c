/* The simulated disk that tests/sim/disk.h tells of: names and bytes as they read back, and beside
 * them what the last sync made durable, which is all that a crash leaves. Out of memory aborts. */
#include "tests/sim/disk.h"

#include <stdlib.h>
#include <string.h>

#include "base/status.h"

struct sim_inode {
    struct sim_inode *next; /* in the disk's list */
    uint8_t *bytes;         /* as read back */
    uint64_t size;          /* bytes */
    uint8_t *synced;        /* as at the last sync */
    uint64_t synced_size;   /* bytes */
    uint64_t capacity;      /* allocated at `bytes` */
    uint64_t synced_room;   /* allocated at `synced` */
    uint64_t dirty_begin;   /* nothing before differs from what is synced */
    uint64_t dirty_end;     /* nor from here on, within synced_size */
};

struct disk_file {
    struct sim_inode *inode;
};

static void *must_realloc(void *old, size_t bytes)
{
    void *p = realloc(old, bytes == 0 ? 1 : bytes);
    HF_ASSERT(p != NULL);
    return p;
}

static struct sim_disk *self(struct disk *d)
{
    return HF_CONTAINER_OF(d, struct sim_disk, disk);
}

static bool fails(uint64_t *countdown)
{
    if (*countdown == 0) return false;
    *countdown -= 1;
    return *countdown == 0;
}

/* ------------------------------------------------------------------ names */

static struct sim_name *find(struct sim_names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->items[i].name, name) == 0) return &names->items[i];
    }
    return NULL;
}

static void copy_name(char to[DISK_NAME_BYTES_MAX + 1], const char *name)
{
    size_t bytes = strlen(name);
    HF_ASSERT(bytes <= DISK_NAME_BYTES_MAX);
    memcpy(to, name, bytes + 1);
}

static void unlink_name(struct sim_names *names, const char *name)
{
    struct sim_name *found = find(names, name);
    if (found == NULL) return;
    names->count -= 1;
    *found = names->items[names->count];
}

static void link_name(struct sim_names *names, const char *name, struct sim_inode *inode)
{
    unlink_name(names, name);
    names->items = must_realloc(names->items, (names->count + 1) * sizeof *names->items);
    struct sim_name *added = &names->items[names->count++];
    memset(added, 0, sizeof *added);
    copy_name(added->name, name);
    added->inode = inode;
}

static void change_names(struct sim_names *names, const struct sim_name_change *change)
{
    if (change->from[0] != '\0') unlink_name(names, change->from);
    if (change->to[0] != '\0') link_name(names, change->to, change->inode);
}

static void note_change(struct sim_disk *d, const char *from, const char *to,
                        struct sim_inode *inode)
{
    d->changes = must_realloc(d->changes, (d->change_count + 1) * sizeof *d->changes);
    struct sim_name_change *change = &d->changes[d->change_count++];
    memset(change, 0, sizeof *change);
    copy_name(change->from, from);
    copy_name(change->to, to);
    change->inode = inode;
    change_names(&d->current, change);
}

static bool is_named(const struct sim_names *names, const struct sim_inode *inode)
{
    for (size_t i = 0; i < names->count; i++) {
        if (names->items[i].inode == inode) return true;
    }
    return false;
}

static void count_bytes(struct sim_disk *d)
{
    d->bytes = 0;
    for (struct sim_inode *i = d->inodes; i != NULL; i = i->next) {
        if (is_named(&d->current, i)) d->bytes += i->size;
    }
}

static struct sim_written *place_of(struct sim_disk *d, uint64_t order)
{
    return &d->writes[order % SIM_DISK_WRITES_MAX];
}

static void forget_place(struct sim_written *w)
{
    free(w->before);
    *w = (struct sim_written){0};
}

/* The file has at least these bytes. */
static void remember(struct sim_disk *d, struct sim_inode *inode, uint64_t offset, uint64_t size)
{
    struct sim_written *w = place_of(d, d->write_count);
    forget_place(w);
    if (size == 0) return;
    *w = (struct sim_written){
        .inode = inode, .order = d->write_count, .offset = offset, .size = size};
    w->before = must_realloc(NULL, size);
    memcpy(w->before, inode->bytes + offset, size);
}

/* Free the inodes that no name leads to any more. Only when no file is open. */
static void sweep(struct sim_disk *d)
{
    struct sim_inode **at = &d->inodes;
    while (*at != NULL) {
        struct sim_inode *inode = *at;
        if (is_named(&d->current, inode) || is_named(&d->durable, inode)) {
            at = &inode->next;
            continue;
        }
        *at = inode->next;
        for (unsigned i = 0; i < SIM_DISK_WRITES_MAX; i++)
            if (d->writes[i].inode == inode) forget_place(&d->writes[i]);
        free(inode->bytes);
        free(inode->synced);
        free(inode);
    }
}

/* ------------------------------------------------------------------ the interface */

static int file_open(struct disk *disk, const char *name, unsigned flags, struct disk_file **file)
{
    struct sim_disk *d = self(disk);
    HF_ASSERT(strlen(name) >= 1 && strlen(name) <= DISK_NAME_BYTES_MAX);
    struct sim_name *found = find(&d->current, name);
    if ((flags & DISK_CREATE) != 0) {
        if (found != NULL) return HF_EEXIST;
        struct sim_inode *inode = must_realloc(NULL, sizeof *inode);
        *inode = (struct sim_inode){.next = d->inodes};
        d->inodes = inode;
        note_change(d, "", name, inode);
        found = find(&d->current, name);
    }
    if (found == NULL) return HF_ENOTFOUND;
    *file = must_realloc(NULL, sizeof **file);
    (*file)->inode = found->inode;
    d->open_count += 1;
    return HF_OK;
}

static void file_close(struct disk *disk, struct disk_file *file)
{
    self(disk)->open_count -= 1;
    free(file);
}

static int file_size(struct disk *disk, struct disk_file *file, uint64_t *bytes)
{
    (void)disk;
    *bytes = file->inode->size;
    return HF_OK;
}

static int file_read(struct disk *disk, struct disk_file *file, uint64_t offset, void *out,
                     size_t bytes)
{
    if (fails(&self(disk)->read_fails_in)) return HF_EIO;
    if (offset > file->inode->size || file->inode->size - offset < bytes) return HF_ECORRUPT;
    memcpy(out, file->inode->bytes + offset, bytes);
    return HF_OK;
}

/* What lies outside the dirty range need not be looked at by a sync or a crash. */
static void mark_dirty(struct sim_inode *inode, uint64_t begin, uint64_t end)
{
    if (inode->dirty_begin >= inode->dirty_end) {
        inode->dirty_begin = begin;
        inode->dirty_end = end;
    }
    if (begin < inode->dirty_begin) inode->dirty_begin = begin;
    if (end > inode->dirty_end) inode->dirty_end = end;
}

static int grow(struct sim_disk *d, struct sim_inode *inode, uint64_t size)
{
    if (size <= inode->size) return HF_OK;
    if (d->bytes + (size - inode->size) > d->bytes_max) return HF_EDISKFULL;
    if (size > inode->capacity) {
        inode->capacity = size > 2 * inode->capacity ? size : 2 * inode->capacity;
        inode->bytes = must_realloc(inode->bytes, inode->capacity);
    }
    memset(inode->bytes + inode->size, 0, size - inode->size);
    mark_dirty(inode, inode->size, size);
    d->bytes += size - inode->size;
    inode->size = size;
    return HF_OK;
}

static int file_write(struct disk *disk, struct disk_file *file, uint64_t offset,
                      struct slice bytes)
{
    struct sim_disk *d = self(disk);
    if (d->power_gone) return HF_EIO;
    d->write_count += 1;
    if (fails(&d->write_fails_in)) {
        /* a failed write may have written some of its sectors */
        uint64_t half = bytes.size / 2 / DISK_SECTOR_BYTES * DISK_SECTOR_BYTES;
        if (offset + half <= file->inode->size) {
            memcpy(file->inode->bytes + offset, bytes.data, half);
            mark_dirty(file->inode, offset, offset + half);
        }
        return HF_EIO;
    }
    int rv = grow(d, file->inode, offset + bytes.size);
    if (rv != HF_OK) return rv;
    if (d->remembers) remember(d, file->inode, offset, bytes.size);
    if (bytes.size > 0) memcpy(file->inode->bytes + offset, bytes.data, bytes.size);
    mark_dirty(file->inode, offset, offset + bytes.size);
    return HF_OK;
}

static int file_allocate(struct disk *disk, struct disk_file *file, uint64_t bytes)
{
    return self(disk)->power_gone ? HF_EIO : grow(self(disk), file->inode, bytes);
}

static void settle(struct sim_inode *inode)
{
    if (inode->size > inode->synced_room) {
        inode->synced_room = inode->capacity;
        inode->synced = must_realloc(inode->synced, inode->synced_room);
    }
    uint64_t end = inode->dirty_end < inode->size ? inode->dirty_end : inode->size;
    if (inode->dirty_begin < end)
        memcpy(inode->synced + inode->dirty_begin, inode->bytes + inode->dirty_begin,
               end - inode->dirty_begin);
    inode->dirty_begin = inode->dirty_end = 0;
    inode->synced_size = inode->size;
}

static bool power_is_gone(struct sim_disk *d)
{
    if (!d->power_fails) return false;
    if (d->power_syncs > 0) {
        d->power_syncs--;
        return false;
    }
    d->power_gone = true;
    return true;
}

static int file_sync(struct disk *disk, struct disk_file *file)
{
    struct sim_disk *d = self(disk);
    d->sync_count += 1;
    if (fails(&d->sync_fails_in)) return HF_EIO;
    if (power_is_gone(d)) return HF_EIO;
    settle(file->inode);
    for (unsigned i = 0; d->remembers && i < SIM_DISK_WRITES_MAX; i++)
        if (d->writes[i].inode == file->inode) d->writes[i].synced = true;
    return HF_OK;
}

static int name_rename(struct disk *disk, const char *from, const char *to)
{
    struct sim_disk *d = self(disk);
    struct sim_name *found = find(&d->current, from);
    if (d->power_gone) return HF_EIO;
    if (found == NULL) return HF_ENOTFOUND;
    note_change(d, from, to, found->inode);
    return HF_OK;
}

static int name_remove(struct disk *disk, const char *name)
{
    struct sim_disk *d = self(disk);
    if (d->power_gone) return HF_EIO;
    if (find(&d->current, name) == NULL) return HF_ENOTFOUND;
    note_change(d, name, "", NULL);
    count_bytes(d);
    return HF_OK;
}

static int names_sync(struct disk *disk)
{
    struct sim_disk *d = self(disk);
    if (power_is_gone(d)) return HF_EIO;
    for (size_t i = 0; i < d->change_count; i++) change_names(&d->durable, &d->changes[i]);
    d->change_count = 0;
    return HF_OK;
}

static int names_list(struct disk *disk, void (*each_cb)(const char *name, void *data), void *data)
{
    struct sim_disk *d = self(disk);
    for (size_t i = 0; i < d->current.count; i++) each_cb(d->current.items[i].name, data);
    return HF_OK;
}

static int space_look(struct disk *disk, struct disk_space *out)
{
    struct sim_disk *d = self(disk);
    out->free_bytes = d->bytes < d->bytes_max ? d->bytes_max - d->bytes : 0;
    out->capacity_bytes = d->bytes_max;
    return HF_OK;
}

static const struct disk_ops sim_ops = {
    .open = file_open,
    .close = file_close,
    .size = file_size,
    .read = file_read,
    .write = file_write,
    .allocate = file_allocate,
    .sync = file_sync,
    .rename = name_rename,
    .remove = name_remove,
    .sync_names = names_sync,
    .list = names_list,
    .space = space_look,
};

/* ------------------------------------------------------------------ the test's side */

void sim_disk_init(struct sim_disk *d, uint64_t seed)
{
    *d = (struct sim_disk){.disk = {.ops = &sim_ops}, .bytes_max = UINT64_MAX / 2};
    prng_seed(&d->random, seed);
}

void sim_disk_close(struct sim_disk *d)
{
    HF_ASSERT(d->open_count == 0);
    d->current.count = 0;
    d->durable.count = 0;
    sweep(d);
    for (unsigned i = 0; i < SIM_DISK_WRITES_MAX; i++) forget_place(&d->writes[i]);
    free(d->current.items);
    free(d->durable.items);
    free(d->changes);
    *d = (struct sim_disk){0};
}

/* Each sector that differs from its synced self is kept or lost by the throw of a coin; the length
 * too. Some crashes lose all, some nothing: the extremes are worth more than their share. */
static void tear(struct sim_disk *d, struct sim_inode *inode)
{
    if (inode->dirty_end == 0 && inode->size == inode->synced_size) return;
    uint64_t keep_percent = prng_below(&d->random, 4) == 0 ? prng_below(&d->random, 2) * 100 : 50;
    uint64_t size = inode->synced_size;
    if (inode->size > size && prng_below(&d->random, 2) == 0) size = inode->size;
    uint64_t begin = inode->dirty_begin / DISK_SECTOR_BYTES * DISK_SECTOR_BYTES;
    uint64_t end = inode->dirty_end < size ? inode->dirty_end : size;
    for (uint64_t at = begin; at < end; at += DISK_SECTOR_BYTES) {
        uint64_t part = size - at < DISK_SECTOR_BYTES ? size - at : DISK_SECTOR_BYTES;
        if (prng_below(&d->random, 100) < keep_percent && at + part <= inode->size) continue;
        if (at + part <= inode->synced_size) {
            memcpy(inode->bytes + at, inode->synced + at, part);
        } else {
            memset(inode->bytes + at, 0, part);
        }
    }
    inode->size = size;
    mark_dirty(inode, begin, size);
    settle(inode);
}

void sim_disk_crash(struct sim_disk *d)
{
    HF_ASSERT(d->open_count == 0);
    d->power_fails = d->power_gone = false;
    for (unsigned i = 0; i < SIM_DISK_WRITES_MAX; i++)
        if (!d->writes[i].synced) forget_place(&d->writes[i]);
    for (size_t i = 0; i < d->change_count; i++) {
        if (prng_below(&d->random, 2) == 0) change_names(&d->durable, &d->changes[i]);
    }
    d->change_count = 0;
    d->current.count = 0;
    for (size_t i = 0; i < d->durable.count; i++) {
        link_name(&d->current, d->durable.items[i].name, d->durable.items[i].inode);
    }
    sweep(d);
    for (struct sim_inode *i = d->inodes; i != NULL; i = i->next) tear(d, i);
    count_bytes(d);
}

uint8_t *sim_disk_bytes(struct sim_disk *d, const char *name, uint64_t *bytes)
{
    struct sim_name *found = find(&d->current, name);
    if (found == NULL) return NULL;
    *bytes = found->inode->size;
    return found->inode->bytes;
}

void sim_disk_settle(struct sim_disk *d, const char *name)
{
    struct sim_name *found = find(&d->current, name);
    HF_ASSERT(found != NULL);
    mark_dirty(found->inode, 0, found->inode->size); /* whoever changed it did not say where */
    settle(found->inode);
}

/* The name of a file that one of the last writes went to, and a byte of that write. */
static const struct sim_name *draw_written(struct sim_disk *d, uint64_t *at)
{
    const struct sim_written *w = &d->writes[prng_below(&d->random, SIM_DISK_WRITES_MAX)];
    for (size_t i = 0; w->inode != NULL && i < d->current.count; i++) {
        const struct sim_name *name = &d->current.items[i];
        if (name->inode != w->inode || w->offset + w->size > name->inode->size) continue;
        *at = w->offset + prng_below(&d->random, w->size);
        return name;
    }
    return NULL;
}

const char *sim_disk_rot(struct sim_disk *d)
{
    uint64_t at = 0;
    const struct sim_name *name = NULL;
    if (d->current.count == 0) return NULL;
    if (d->remembers && prng_below(&d->random, 2) == 0) name = draw_written(d, &at);
    if (name == NULL) {
        name = &d->current.items[prng_below(&d->random, d->current.count)];
        if (name->inode->size == 0) return NULL;
        at = prng_below(&d->random, name->inode->size);
    }
    struct sim_inode *inode = name->inode;
    uint8_t bit = (uint8_t)(1U << prng_below(&d->random, 8));
    inode->bytes[at] ^= bit;
    if (at < inode->synced_size) inode->synced[at] ^= bit;
    return name->name;
}

/* Synced, and nothing was written over it since. */
static bool may_forget(const struct sim_disk *d, const struct sim_written *w)
{
    if (w->inode == NULL || !w->synced || !is_named(&d->current, w->inode)) return false;
    for (unsigned i = 0; i < SIM_DISK_WRITES_MAX; i++) {
        const struct sim_written *other = &d->writes[i];
        if (other->inode == w->inode && other->order > w->order &&
            other->offset < w->offset + w->size && w->offset < other->offset + other->size)
            return false;
    }
    return true;
}

static void overwrite(struct sim_inode *inode, uint64_t offset, const uint8_t *bytes, uint64_t size)
{
    memcpy(inode->bytes + offset, bytes, size);
    if (offset + size <= inode->synced_size) memcpy(inode->synced + offset, bytes, size);
}

/* The newest write to any file whose name begins so; NULL: none is remembered. */
static struct sim_written *find_newest(struct sim_disk *d, const char *prefix)
{
    struct sim_written *newest = NULL;
    for (size_t i = 0; i < d->current.count; i++) {
        if (strncmp(d->current.items[i].name, prefix, strlen(prefix)) != 0) continue;
        for (unsigned k = 0; k < SIM_DISK_WRITES_MAX; k++) {
            struct sim_written *w = &d->writes[k];
            if (w->inode != d->current.items[i].inode || !w->synced) continue;
            if (newest == NULL || w->order > newest->order) newest = w;
        }
    }
    return newest;
}

/* Of some file, and of that any. */
static struct sim_written *draw_forgotten(struct sim_disk *d)
{
    const struct sim_written *spared = d->spares != NULL ? find_newest(d, d->spares) : NULL;
    struct sim_written *drawn = NULL;
    uint64_t files = 0;
    for (size_t i = 0; i < d->current.count; i++) {
        struct sim_written *of_file = NULL;
        uint64_t count = 0;
        for (unsigned k = 0; k < SIM_DISK_WRITES_MAX; k++) {
            struct sim_written *w = &d->writes[k];
            if (w->inode != d->current.items[i].inode || w == spared || !may_forget(d, w)) continue;
            if (prng_below(&d->random, ++count) == 0) of_file = w;
        }
        if (of_file != NULL && prng_below(&d->random, ++files) == 0) drawn = of_file;
    }
    return drawn;
}

const char *sim_disk_forget(struct sim_disk *d, bool astray)
{
    struct sim_written *w = draw_forgotten(d);
    if (w == NULL) return NULL;
    struct sim_inode *inode = w->inode;
    uint8_t *bytes = must_realloc(NULL, w->size);
    memcpy(bytes, inode->bytes + w->offset, w->size);
    overwrite(inode, w->offset, w->before, w->size);
    uint64_t places = (inode->size - w->size) / DISK_SECTOR_BYTES + 1;
    uint64_t to = prng_below(&d->random, places) * DISK_SECTOR_BYTES;
    if (astray) overwrite(inode, to, bytes, w->size);
    free(bytes);
    forget_place(w);
    for (size_t i = 0; i < d->current.count; i++)
        if (d->current.items[i].inode == inode) return d->current.items[i].name;
    HF_UNREACHABLE();
}

void sim_disk_lose(struct sim_disk *d, const char *name)
{
    unlink_name(&d->current, name);
    unlink_name(&d->durable, name);
    count_bytes(d);
}
