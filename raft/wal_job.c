/* The log's blocking part: what a job does to the disk. Runs in a thread (or in the simulator)
 * and touches nothing but the job. */
#include <stdlib.h>
#include <string.h>

#include "base/planted.h"
#include "base/status.h"
#include "raft/wal.h"
#include "raft/wal_private.h"

enum {
    ZERO_STEP_BYTES = 4 * 1024 * 1024
}; /* synced in steps: a burst would delay the log's syncs */

int wal_segment_make(struct disk *d, uint64_t number, uint64_t bytes, struct disk_file **file)
{
    HF_ASSERT(number >= 1);
    HF_ASSERT(bytes >= WAL_SEGMENT_BYTES_MIN);
    char name[WAL_NAME_BYTES];
    wal_segment_name(number, name);
    int rv = disk_remove(d, WAL_TEMPORARY_NAME); /* an interrupted one's */
    if (rv != HF_OK && rv != HF_ENOTFOUND) return rv;
    rv = disk_open(d, WAL_TEMPORARY_NAME, DISK_CREATE, file);
    if (rv != HF_OK) return rv;
    for (uint64_t done = 0; done < bytes && rv == HF_OK;) {
        done = bytes - done < ZERO_STEP_BYTES ? bytes : done + ZERO_STEP_BYTES;
        rv = disk_allocate(d, *file, done);
        if (rv == HF_OK) rv = disk_sync(d, *file);
    }
    if (rv == HF_OK) rv = disk_rename(d, WAL_TEMPORARY_NAME, name);
    if (rv == HF_OK) rv = disk_sync_names(d);
    if (rv != HF_OK) {
        disk_close(d, *file);
        *file = NULL;
        int removed = disk_remove(d, WAL_TEMPORARY_NAME); /* give its space back */
        if (rv == HF_EDISKFULL && removed != HF_OK) rv = removed;
    }
    return rv;
}

/* The segment's head is durable before its first group is written, so that no group is ever found
 * behind a head of zeros. */
static int run_write(struct disk *d, struct wal_job *job)
{
    const struct wal_batch *b = job->batch;
    disk_close(d, job->sealed); /* its last group was synced before this job was taken */
    job->sealed = NULL;
    if (b->opens) {
        int rv = disk_write(d, job->file, 0, slice_make(job->head, sizeof job->head));
        if (rv == HF_OK) rv = disk_sync(d, job->file);
        if (rv != HF_OK) return rv;
    }
    uint64_t offset = (uint64_t)b->group.sector * WAL_SECTOR_BYTES;
    int rv = disk_write(d, job->file, offset, buffer_slice(&b->group.bytes));
    if (rv == HF_OK && !planted(LOG_NOT_SYNCED)) rv = disk_sync(d, job->file);
    return rv;
}

static int run_remove(struct disk *d, uint64_t number)
{
    char name[WAL_NAME_BYTES];
    wal_segment_name(number, name);
    int rv = disk_remove(d, name);
    if (rv != HF_OK) return rv;
    return disk_sync_names(d); /* one at a time, so that a crash leaves no gap */
}

/* ------------------------------------------------------------------ reading */

/* Keep an entry if it is the next one wanted and there is room. Data is addressed by offset until
 * the buffer has stopped moving. */
static int keep_entry(const struct wal_record *record, uint32_t sector, uint32_t chain, void *data)
{
    (void)sector;
    (void)chain;
    struct wal_job *job = data;
    struct wal_read *read = job->read;
    if (!log_type_is_known(record->type)) return HF_OK;
    if (record->index != read->first + read->count || record->index >= job->index_end) return HF_OK;
    if (read->count > 0 && read->data.size + record->data.size > WAL_READ_BYTES_MAX) return HF_OK;
    if (read->count == read->capacity) {
        read->capacity = read->capacity == 0 ? 64 : read->capacity * 2;
        read->entries =
            wal_must_have(realloc(read->entries, read->capacity * sizeof *read->entries));
    }
    read->entries[read->count++] = (struct log_entry){
        .index = record->index,
        .term = record->term,
        .type = record->type,
        .data = slice_make(NULL, record->data.size),
    };
    return buffer_append(&read->data, record->data.data, record->data.size);
}

static int read_sectors(struct disk *d, const struct wal_job *job, struct buffer *out)
{
    char name[WAL_NAME_BYTES];
    wal_segment_name(job->number, name);
    size_t bytes = (size_t)(job->end_sector - job->sector) * WAL_SECTOR_BYTES;
    int rv = buffer_reserve(out, bytes);
    if (rv != HF_OK) return rv;
    struct disk_file *file;
    rv = disk_open(d, name, DISK_READ, &file);
    if (rv != HF_OK) return rv == HF_ENOTFOUND ? HF_ECORRUPT : rv;
    rv = disk_read(d, file, (uint64_t)job->sector * WAL_SECTOR_BYTES, out->data, bytes);
    disk_close(d, file);
    if (rv == HF_OK) out->size = bytes;
    return rv;
}

static int run_read(struct disk *d, struct wal_job *job)
{
    struct wal_read *read = job->read;
    struct buffer raw;
    struct buffer scratch;
    buffer_init(&raw, WAL_SEGMENT_BYTES_MAX);
    buffer_init(&scratch, WAL_SEGMENT_BYTES_MAX);
    buffer_clear(&read->data);
    read->count = 0;
    int rv = read_sectors(d, job, &raw);
    if (rv != HF_OK) goto out;
    struct wal_scan scan = {
        .bytes = raw.data,
        .first_sector = job->sector,
        .sectors = job->end_sector - job->sector,
        .sealed = true,
        .tags = job->tags,
        .chain = job->chain,
        .each = keep_entry,
        .data = job,
        .scratch = &scratch,
    };
    enum wal_verdict verdict = wal_scan_run(&scan);
    rv = scan.status;
    if (rv == HF_OK && (verdict != WAL_CLEAN || read->count == 0)) rv = HF_ECORRUPT;
    uint8_t *at = read->data.data;
    for (size_t i = 0; i < read->count; i++) {
        read->entries[i].data.data = at;
        at += read->entries[i].data.size;
    }
out:
    buffer_close(&raw);
    buffer_close(&scratch);
    return rv;
}

void wal_job_run(struct disk *d, struct wal_job *job)
{
    HF_ASSERT(job->taken);
    if (job->status != HF_OK) return; /* decided when it was taken */
    switch (job->kind) {
    case WAL_JOB_WRITE: job->status = run_write(d, job); break;
    case WAL_JOB_PREPARE:
        job->status = wal_segment_make(d, job->number, job->bytes, &job->file);
        break;
    case WAL_JOB_REMOVE: job->status = run_remove(d, job->number); break;
    case WAL_JOB_READ: job->status = run_read(d, job); break;
    }
}
