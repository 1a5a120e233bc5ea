/* Opening the log: which segments are there, whether they are whole, where to go on.
 *   - every head is read; numbers have no gap; heads of zeros are spares, at the end only; the
 *     newest begun segment is at least the one that the caller knows of;
 *   - the segments that hold what is wanted are scanned, each up to the end that its successor
 *     names, the last one up to the first never-written sector;
 *   - a torn last group is cut: a fresh segment is begun, whose head names the end before it;
 *   - what was found is synced before anybody is told: a process that was killed may have left
 *     it in a cache. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/planted.h"
#include "base/status.h"
#include "raft/wal.h"
#include "raft/wal_private.h"

#define ADVICE                                                                                  \
    "This server must not vote with it: remove it from the cluster and add it as a new member " \
    "with an empty directory, or, if it is the only server, restore a backup."

struct found_segment {
    uint64_t number;
    uint64_t bytes;
    bool begun; /* has a head */
    struct wal_head head;
};

struct opening {
    struct wal *w;
    struct refusal *why;
    struct found_segment *found; /* owned; by number */
    size_t count;
    size_t capacity;
    uint64_t from;           /* entries from here on must be there */
    uint64_t first;          /* entries from here on are wanted */
    struct entries *entries; /* where they go */
    uint64_t segment;        /* being scanned */
    uint32_t group;          /* sector of the group that is being replayed */
    bool group_has_entry;    /* and one of its entries was replayed */
    uint64_t last_term;      /* of the entry before */
};

static const char *name_of(uint64_t number)
{
    static _Thread_local char names[2][WAL_NAME_BYTES]; /* a sentence may need two */
    static _Thread_local unsigned turn;
    turn ^= 1;
    wal_segment_name(number, names[turn]);
    return names[turn];
}

/* ------------------------------------------------------------------ what is there */

static void note_name(const char *name, void *data)
{
    struct opening *o = data;
    uint64_t number = wal_segment_number(name);
    if (number == 0) return;
    if (o->count == o->capacity) {
        o->capacity = o->capacity == 0 ? 16 : o->capacity * 2;
        o->found = wal_must_have(realloc(o->found, o->capacity * sizeof *o->found));
    }
    o->found[o->count++] = (struct found_segment){.number = number};
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = ((const struct found_segment *)a)->number;
    uint64_t y = ((const struct found_segment *)b)->number;
    return (x > y) - (x < y);
}

static int read_whole(struct disk *d, uint64_t number, uint32_t first_sector, uint32_t end_sector,
                      struct buffer *out)
{
    buffer_clear(out);
    size_t bytes = (size_t)(end_sector - first_sector) * WAL_SECTOR_BYTES;
    int rv = buffer_reserve(out, bytes);
    if (rv != HF_OK) return rv;
    struct disk_file *file;
    rv = disk_open(d, name_of(number), DISK_READ, &file);
    if (rv != HF_OK) return rv;
    rv = disk_read(d, file, (uint64_t)first_sector * WAL_SECTOR_BYTES, out->data, bytes);
    disk_close(d, file);
    if (rv == HF_OK) out->size = bytes;
    return rv;
}

static int read_head(struct opening *o, struct found_segment *f)
{
    struct disk *d = o->w->disk;
    struct disk_file *file;
    uint8_t sector[WAL_SECTOR_BYTES];
    int rv = disk_open(d, name_of(f->number), DISK_READ, &file);
    if (rv != HF_OK)
        return refuse(o->why, rv, "The log's file %s cannot be opened.", name_of(f->number));
    rv = disk_size(d, file, &f->bytes);
    if (rv == HF_OK) rv = disk_read(d, file, 0, sector, sizeof sector);
    disk_close(d, file);
    if (rv == HF_ECORRUPT || (rv == HF_OK && f->bytes % WAL_SECTOR_BYTES != 0) ||
        (rv == HF_OK && (f->bytes < WAL_SEGMENT_BYTES_MIN || f->bytes > WAL_SEGMENT_BYTES_MAX))) {
        return refuse(o->why, HF_ECORRUPT,
                      "The log's file %s has %" PRIu64
                      " bytes, which none of its files ever has. " ADVICE,
                      name_of(f->number), f->bytes);
    }
    if (rv != HF_OK)
        return refuse(o->why, rv, "The log's file %s cannot be read.", name_of(f->number));

    rv = wal_head_decode(sector, &f->head);
    if (rv == HF_ENOTFOUND) return HF_OK;
    if (rv == HF_EVERSION) {
        return refuse(o->why, rv, "The log's file %s was written by a later version of holdfast.",
                      name_of(f->number));
    }
    if (rv == HF_OK &&
        memcmp(f->head.cluster_id, o->w->config.cluster_id, WAL_CLUSTER_ID_BYTES) != 0) {
        return refuse(o->why, HF_EINVAL,
                      "The log's file %s belongs to another cluster than the vote file beside it: "
                      "the directory was put together from two. Restore it whole.",
                      name_of(f->number));
    }
    if (rv != HF_OK || f->head.segment != f->number) {
        return refuse(o->why, HF_ECORRUPT,
                      "Rot in the log's file %s at offset 0 (its head). " ADVICE,
                      name_of(f->number));
    }
    if (f->head.segment_bytes != f->bytes) {
        return refuse(o->why, HF_ECORRUPT,
                      "The log's file %s has %" PRIu64 " bytes instead of %" PRIu32
                      ": its end is gone, and with it perhaps what was acknowledged. " ADVICE,
                      name_of(f->number), f->bytes, f->head.segment_bytes);
    }
    f->begun = true;
    return HF_OK;
}

static int find_segments(struct opening *o)
{
    struct disk *d = o->w->disk;
    int rv = disk_remove(d, WAL_TEMPORARY_NAME);
    if (rv != HF_OK && rv != HF_ENOTFOUND)
        return refuse(o->why, rv, "The log's directory cannot be written.");
    rv = disk_list(d, note_name, o);
    if (rv != HF_OK) return refuse(o->why, rv, "The log's directory cannot be read.");
    if (o->count == 0) return HF_OK;
    qsort(o->found, o->count, sizeof *o->found, by_number);
    for (size_t i = 0; i < o->count; i++) {
        uint64_t expected = o->found[0].number + i;
        if (o->found[i].number != expected) {
            return refuse(o->why, HF_ECORRUPT, "The log's file %s is missing. " ADVICE,
                          name_of(expected));
        }
        rv = read_head(o, &o->found[i]);
        if (rv != HF_OK) return rv;
        if (i > 0 && o->found[i].begun && !o->found[i - 1].begun) {
            return refuse(o->why, HF_ECORRUPT,
                          "The head of the log's file %s, which was synced, is missing (a lost "
                          "write at offset 0). " ADVICE,
                          name_of(expected - 1));
        }
    }
    if (!o->found[0].begun && o->found[0].number != 1) {
        return refuse(o->why, HF_ECORRUPT, "The log's files before %s are missing. " ADVICE,
                      name_of(o->found[0].number));
    }
    return HF_OK;
}

/* A spare must be all zeros: its head is synced before its first group is written. */
static int check_spare(struct opening *o, const struct found_segment *f, struct buffer *raw)
{
    int rv = read_whole(o->w->disk, f->number, 0, (uint32_t)(f->bytes / WAL_SECTOR_BYTES), raw);
    if (rv != HF_OK)
        return refuse(o->why, rv, "The log's file %s cannot be read.", name_of(f->number));
    for (size_t at = 0; at < raw->size; at++) {
        if (raw->data[at] == 0) continue;
        return refuse(o->why, HF_ECORRUPT,
                      "The log's file %s has bytes at offset %zu but no head: its synced head was "
                      "lost, or this is rot. " ADVICE,
                      name_of(f->number), at);
    }
    return HF_OK;
}

/* Spares of another length than configured are dropped, with those behind, from the end. */
static int check_spares(struct opening *o, struct buffer *raw)
{
    size_t keep = o->count;
    for (size_t i = o->count; i > 0 && !o->found[i - 1].begun; i--) {
        int rv = check_spare(o, &o->found[i - 1], raw);
        if (rv != HF_OK) return rv;
        if (o->found[i - 1].bytes != o->w->config.segment_bytes) keep = i - 1;
    }
    while (o->count > keep) {
        const char *name = name_of(o->found[o->count - 1].number);
        int rv = disk_remove(o->w->disk, name);
        if (rv == HF_OK) rv = disk_sync_names(o->w->disk);
        if (rv != HF_OK) return refuse(o->why, rv, "The log's file %s cannot be removed.", name);
        o->count -= 1;
    }
    return HF_OK;
}

/* ------------------------------------------------------------------ replay */

static int replay_entry(struct opening *o, const struct wal_record *record, uint32_t chain)
{
    struct wal *w = o->w;
    struct entries *e = o->entries;
    if (record->index != w->last_index + 1 || record->term == 0) return HF_ECORRUPT;
    if (record->term < o->last_term) return HF_ECORRUPT;
    if (!o->group_has_entry) wal_mark_maybe(w, record->index, o->segment, o->group, chain);
    o->group_has_entry = true;
    w->last_index = record->index;
    o->last_term = record->term;
    if (record->index + 1 == o->first && e->count == 0) entries_reset(e, o->first, record->term);
    if (record->index < o->first) return HF_OK;
    if (e->count == 0 && e->first != record->index) entries_reset(e, record->index, 0);
    struct log_entry entry = {
        .index = record->index,
        .term = record->term,
        .type = record->type,
        .data = record->data,
    };
    entries_append(e, &entry);
    if (o->from > 1) entries_trim(e, o->from - 1);
    return HF_OK;
}

/* One record; the log's own rules are checked as well: a check that holds over wrong contents
 * would be our own error. */
static int replay(const struct wal_record *record, uint32_t sector, uint32_t chain, void *data)
{
    struct opening *o = data;
    struct wal *w = o->w;
    if (sector != o->group) {
        o->group = sector;
        o->group_has_entry = false;
    }
    if (log_type_is_known(record->type)) return replay_entry(o, record, chain);
    if (record->type == WAL_TRUNCATE && record->index > w->last_index) return HF_ECORRUPT;
    bool cut = record->type == WAL_TRUNCATE;
    wal_marks_cut(w, cut ? record->index : 1);
    struct entries *e = o->entries;
    bool known = record->index > terms_first(&e->terms) && record->index <= entries_last(e) + 1;
    if (cut && known) {
        entries_truncate(e, record->index);
    } else {
        entries_reset(e, record->index > o->first ? record->index : o->first, 0);
    }
    o->last_term = cut ? entries_term(e, record->index - 1) : 0;
    w->last_index = record->index - 1;
    return HF_OK;
}

static int refuse_verdict(struct opening *o, uint64_t number, const struct wal_scan *s,
                          enum wal_verdict verdict)
{
    if (s->status != HF_OK) {
        return refuse(o->why, s->status,
                      "The log's file %s holds records that do not follow each other, near offset "
                      "%" PRIu64 ". " ADVICE,
                      name_of(number), (uint64_t)s->end_sector * WAL_SECTOR_BYTES);
    }
    return refuse(o->why, HF_ECORRUPT, "The log's file %s has %s at offset %" PRIu64 ". " ADVICE,
                  name_of(number), wal_verdict_name(verdict),
                  (uint64_t)s->bad_sector * WAL_SECTOR_BYTES);
}

/* Scan one segment: up to the end that `next` names, or, if it is the last, to its own. */
static int scan_segment(struct opening *o, const struct found_segment *f,
                        const struct found_segment *next, struct buffer *raw,
                        struct buffer *scratch, bool *torn)
{
    struct wal *w = o->w;
    uint64_t end = next != NULL ? next->head.previous_bytes : f->bytes;
    if (end < WAL_SECTOR_BYTES || end > f->bytes || end % WAL_SECTOR_BYTES != 0) {
        return refuse(o->why, HF_ECORRUPT,
                      "The log's file %s names an end of the one before it "
                      "that cannot be. " ADVICE,
                      name_of(f->number + 1));
    }
    uint32_t end_sector = (uint32_t)(end / WAL_SECTOR_BYTES);
    int rv = read_whole(w->disk, f->number, 1, end_sector, raw);
    if (rv != HF_OK)
        return refuse(o->why, rv, "The log's file %s cannot be read.", name_of(f->number));
    o->segment = f->number;
    o->group = 0;
    struct wal_scan s = {
        .bytes = raw->data,
        .first_sector = 1,
        .sectors = end_sector - 1,
        .sealed = next != NULL,
        .tags = wal_tags_make(w->config.cluster_id, f->number),
        .chain = w->chain,
        .each = replay,
        .data = o,
        .scratch = scratch,
    };
    enum wal_verdict verdict = wal_scan_run(&s);
    *torn = verdict == WAL_TORN || (verdict == WAL_ROT && next == NULL && planted(ROT_CUT));
    if (s.status != HF_OK || (verdict != WAL_CLEAN && !*torn)) {
        return refuse_verdict(o, f->number, &s, verdict);
    }
    if (next != NULL && next->head.chain != s.chain) {
        return refuse(o->why, HF_ECORRUPT, "The log's file %s does not follow %s. " ADVICE,
                      name_of(f->number + 1), name_of(f->number));
    }
    w->chain = s.chain;
    w->segment = f->number;
    w->sector = s.end_sector;
    struct wal_segment *opened = wal_segment_find(w, f->number);
    HF_ASSERT(opened != NULL);
    opened->end_sector = s.end_sector;
    return HF_OK;
}

/* The segment from which on every wanted entry is found: what lies before was either not wanted
 * or cut before that segment was begun. */
static size_t first_to_scan(const struct opening *o, size_t begun)
{
    size_t at = 0;
    for (size_t i = 0; i < begun; i++) {
        if (o->found[i].head.next_index <= o->first) at = i;
    }
    return at;
}

/* Write and sync the head of the segment after the present one, and go on there. */
static int begin_segment(struct opening *o, uint64_t previous_bytes)
{
    struct wal *w = o->w;
    uint64_t number = w->segment + 1;
    struct wal_segment *s = wal_segment_find(w, number);
    struct disk_file *file = NULL;
    int rv = HF_OK;
    if (s == NULL) {
        rv = wal_segment_make(w->disk, number, w->config.segment_bytes, &file);
        if (rv != HF_OK)
            return refuse(o->why, rv,
                          "No segment of %" PRIu32 " bytes could be made for the log: %s.",
                          w->config.segment_bytes, status_text(rv));
        wal_segment_add(w, &(struct wal_segment){
                               .number = number,
                               .sectors = w->config.segment_bytes / WAL_SECTOR_BYTES,
                               .end_sector = 1,
                               .file = file,
                           });
        s = wal_segment_find(w, number);
    }
    HF_ASSERT(s != NULL);
    struct wal_head head = {
        .segment = number,
        .next_index = w->last_index + 1,
        .previous_bytes = previous_bytes,
        .chain = w->chain,
        .segment_bytes = s->sectors * WAL_SECTOR_BYTES,
    };
    memcpy(head.cluster_id, w->config.cluster_id, WAL_CLUSTER_ID_BYTES);
    uint8_t sector[WAL_SECTOR_BYTES];
    wal_head_encode(&head, sector);
    rv = disk_write(w->disk, s->file, 0, slice_make(sector, sizeof sector));
    if (rv == HF_OK) rv = disk_sync(w->disk, s->file);
    if (rv != HF_OK)
        return refuse(o->why, rv, "The log's file %s cannot be written.", name_of(number));
    s->next_index = head.next_index;
    w->segment = number;
    w->sector = 1;
    return HF_OK;
}

/* Register the found segments; the last begun one and the spares stay open. */
static int register_segments(struct opening *o, size_t begun)
{
    struct wal *w = o->w;
    for (size_t i = 0; i < o->count; i++) {
        const struct found_segment *f = &o->found[i];
        struct wal_segment s = {
            .number = f->number,
            .next_index = f->begun ? f->head.next_index : 0,
            .sectors = (uint32_t)(f->bytes / WAL_SECTOR_BYTES),
            .end_sector = 1,
        };
        if (i + 1 >= begun) {
            int rv = disk_open(w->disk, name_of(f->number), DISK_READ, &s.file);
            if (rv != HF_OK)
                return refuse(o->why, rv, "The log's file %s cannot be opened.",
                              name_of(f->number));
        }
        wal_segment_add(w, &s);
    }
    return HF_OK;
}

static int scan_all(struct opening *o, size_t begun, struct buffer *raw, struct buffer *scratch)
{
    struct wal *w = o->w;
    size_t start = first_to_scan(o, begun);
    w->chain = o->found[start].head.chain;
    w->last_index = o->found[start].head.next_index - 1;
    bool torn = false;
    for (size_t i = start; i < begun; i++) {
        const struct found_segment *next = i + 1 < begun ? &o->found[i + 1] : NULL;
        int rv = scan_segment(o, &o->found[i], next, raw, scratch, &torn);
        if (rv != HF_OK) return rv;
    }
    /* It may be in a cache only, written by a process that did not live to sync it. */
    struct wal_segment *last = wal_segment_find(w, w->segment);
    HF_ASSERT(last != NULL && last->file != NULL);
    int rv = disk_sync(w->disk, last->file);
    if (rv == HF_OK) rv = disk_sync_names(w->disk);
    if (rv != HF_OK)
        return refuse(o->why, rv, "The log's file %s cannot be synced.", name_of(w->segment));
    if (!torn) return HF_OK;

    log_warn("cut a torn last write, which was never acknowledged",
             "file=%s offset=%" PRIu64 " last_index=%" PRIu64, name_of(w->segment),
             (uint64_t)w->sector * WAL_SECTOR_BYTES, w->last_index);
    disk_close(w->disk, last->file);
    last->file = NULL;
    return begin_segment(o, (uint64_t)w->sector * WAL_SECTOR_BYTES);
}

/* The newest file taken away leaves no gap: only who noted its number can tell. To be found out
 * before a segment is begun in its place, which would hide the loss from the next start. */
static int check_newest(const struct opening *o, size_t begun)
{
    HF_ASSERT(begun >= 1);
    uint64_t known = o->w->config.segment_min;
    if (o->found[begun - 1].number >= known) return HF_OK;
    return refuse(o->why, HF_ECORRUPT,
                  "The log's file %s is missing, or its head is: the log had gone on to it, and "
                  "what was acknowledged may have been in it. " ADVICE,
                  name_of(known));
}

static int open_log(struct opening *o, struct buffer *raw, struct buffer *scratch)
{
    int rv = find_segments(o);
    if (rv == HF_OK && o->count > 0) rv = check_spares(o, raw);
    if (rv != HF_OK) return rv;
    size_t begun = 0;
    while (begun < o->count && o->found[begun].begun) begun += 1;
    if (begun == 0 && !o->w->config.may_create) {
        return refuse(o->why, HF_ENOTFOUND,
                      "The log is missing: the directory has a vote file and "
                      "no log. " ADVICE);
    }
    if (begun > 0) rv = check_newest(o, begun);
    if (rv == HF_OK) rv = register_segments(o, begun);
    if (rv != HF_OK) return rv;
    if (begun == 0) return begin_segment(o, 0);
    return scan_all(o, begun, raw, scratch);
}

/* What the store needs must be there: from `from` on without a gap, or nothing at all. */
static int check_range(struct opening *o)
{
    const struct wal *w = o->w;
    struct entries *e = o->entries;
    if (w->last_index + 1 < o->from) { /* the store is ahead: the caller resets the log */
        entries_reset(e, o->from, 0);
        return HF_OK;
    }
    if (e->count == 0 && e->first < o->from)
        entries_reset(e, o->from, w->last_index + 1 == o->from ? o->last_term : 0);
    if (e->first > o->from || (e->count == 0 && w->last_index >= o->from)) {
        return refuse(o->why, HF_ECORRUPT,
                      "The log begins at entry %" PRIu64 ", but the store holds entries only up to "
                      "%" PRIu64 ": a gap. " ADVICE,
                      e->first, o->from - 1);
    }
    return HF_OK;
}

int wal_open(struct disk *d, const struct wal_config *config, uint64_t from, uint64_t trail,
             struct entries *entries, struct wal **wal, struct refusal *why)
{
    HF_ASSERT(from >= 1);
    HF_ASSERT(config->segment_bytes % WAL_SECTOR_BYTES == 0);
    HF_ASSERT(config->segment_bytes >= WAL_SEGMENT_BYTES_MIN);
    HF_ASSERT(config->segment_bytes <= WAL_SEGMENT_BYTES_MAX);
    HF_ASSERT(config->segment_min == 0 || !config->may_create);
    struct wal *w = wal_must_have(calloc(1, sizeof *w));
    w->disk = d;
    w->config = *config;
    list_init(&w->closed);
    list_init(&w->free);
    list_init(&w->reads);
    struct opening o = {
        .w = w,
        .why = why,
        .from = from,
        .first = from > trail ? from - trail : 1,
        .entries = entries,
    };
    entries_reset(entries, o.first, 0);
    struct buffer raw;
    struct buffer scratch;
    buffer_init(&raw, WAL_SEGMENT_BYTES_MAX);
    buffer_init(&scratch, WAL_SEGMENT_BYTES_MAX);
    int rv = open_log(&o, &raw, &scratch);
    if (rv == HF_OK) rv = check_range(&o);
    buffer_close(&raw);
    buffer_close(&scratch);
    free(o.found);
    if (rv != HF_OK) {
        wal_close(w);
        return rv;
    }
    w->durable_index = w->last_index;
    if (w->last_index + 1 >= from) w->remove_before = o.first; /* the rest was not loaded */
    *wal = w;
    return HF_OK;
}

/* ------------------------------------------------------------------ without a log */

int wal_exists(struct disk *d, bool *exists)
{
    struct opening o = {0};
    int rv = disk_list(d, note_name, &o);
    *exists = o.count > 0;
    free(o.found);
    return rv;
}

int wal_erase(struct disk *d)
{
    struct opening o = {0};
    int rv = disk_remove(d, WAL_TEMPORARY_NAME);
    if (rv == HF_OK || rv == HF_ENOTFOUND) rv = disk_list(d, note_name, &o);
    for (size_t i = 0; i < o.count && rv == HF_OK; i++) {
        rv = disk_remove(d, name_of(o.found[i].number));
    }
    free(o.found);
    return rv == HF_OK ? disk_sync_names(d) : rv;
}
