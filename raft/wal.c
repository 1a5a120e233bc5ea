/* The log's decisions: which group gathers, where it goes, which job is next. */
#include "raft/wal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "raft/wal_private.h"

enum {
    BATCHES_KEPT = 2, /* one in flight, one gathering: a steady log allocates nothing */
    BATCH_BYTES_MAX = 2 * (WAL_GROUP_BYTES_MAX + LOG_ENTRY_BYTES_MAX),
};

void *wal_must_have(void *p)
{
    HF_ASSERT(p != NULL);
    return p;
}

/* ------------------------------------------------------------------ segments and marks */

void wal_segment_name(uint64_t number, char name[WAL_NAME_BYTES])
{
    snprintf(name, WAL_NAME_BYTES, "wal-%016" PRIx64, number);
}

uint64_t wal_segment_number(const char *name)
{
    if (strlen(name) != 20 || memcmp(name, "wal-", 4) != 0) return 0;
    if (strspn(name + 4, "0123456789abcdef") != 16) return 0;
    return strtoull(name + 4, NULL, 16);
}

struct wal_segment *wal_segment_find(struct wal *w, uint64_t number)
{
    if (w->segment_count == 0 || number < w->segments[0].number) return NULL;
    uint64_t nth = number - w->segments[0].number;
    return nth < w->segment_count ? &w->segments[nth] : NULL;
}

void wal_segment_add(struct wal *w, const struct wal_segment *segment)
{
    HF_ASSERT(w->segment_count == 0 ||
              segment->number == w->segments[w->segment_count - 1].number + 1);
    if (w->segment_count == w->segment_capacity) {
        w->segment_capacity = w->segment_capacity == 0 ? 16 : w->segment_capacity * 2;
        w->segments =
            wal_must_have(realloc(w->segments, w->segment_capacity * sizeof *w->segments));
    }
    w->segments[w->segment_count++] = *segment;
    w->segment_bytes += (uint64_t)segment->sectors * WAL_SECTOR_BYTES;
}

void wal_marks_cut(struct wal *w, uint64_t index)
{
    while (w->mark_count > 0 && w->marks[w->mark_count - 1].index >= index) w->mark_count -= 1;
    w->mark_wanted = true;
}

void wal_mark_maybe(struct wal *w, uint64_t index, uint64_t segment, uint32_t sector,
                    uint32_t chain)
{
    struct wal_mark *last = w->mark_count > 0 ? &w->marks[w->mark_count - 1] : NULL;
    HF_ASSERT(last == NULL || last->index < index);
    bool due = w->mark_wanted || last == NULL || last->segment != segment ||
               sector - last->sector >= WAL_MARK_BYTES / WAL_SECTOR_BYTES;
    if (!due) return;
    if (w->mark_count == w->mark_capacity) {
        w->mark_capacity = w->mark_capacity == 0 ? 64 : w->mark_capacity * 2;
        w->marks = wal_must_have(realloc(w->marks, w->mark_capacity * sizeof *w->marks));
    }
    w->marks[w->mark_count++] = (struct wal_mark){index, segment, sector, chain};
    w->mark_wanted = false;
}

static uint64_t prepared_last(const struct wal *w)
{
    HF_ASSERT(w->segment_count > 0);
    return w->segments[w->segment_count - 1].number;
}

/* Sectors of a segment, prepared or still to be. */
static uint32_t sectors_of(struct wal *w, uint64_t number)
{
    const struct wal_segment *s = wal_segment_find(w, number);
    return s != NULL ? s->sectors : w->config.segment_bytes / WAL_SECTOR_BYTES;
}

/* ------------------------------------------------------------------ gathering */

static struct wal_batch *batch_new(struct wal *w)
{
    struct wal_batch *b;
    if (!list_empty(&w->free)) {
        b = HF_CONTAINER_OF(w->free.next, struct wal_batch, link);
        list_remove(&b->link);
        w->free_count -= 1;
    } else {
        b = wal_must_have(calloc(1, sizeof *b));
        buffer_init(&b->group.bytes, BATCH_BYTES_MAX);
    }
    list_init(&b->link);
    b->last_index = 0;
    b->reset_next = 0;
    b->opens = false;
    return b;
}

static void batch_free(struct wal_batch *b)
{
    buffer_close(&b->group.bytes);
    free(b);
}

static void batch_retire(struct wal *w, struct wal_batch *b)
{
    if (w->free_count >= BATCHES_KEPT) {
        batch_free(b);
        return;
    }
    list_push_back(&w->free, &b->link);
    w->free_count += 1;
}

/* End the gathering group: from here on its bytes and its place do not change. */
static int close_gathering(struct wal *w)
{
    struct wal_batch *b = w->gathering;
    if (b == NULL) return HF_OK;
    size_t before = b->group.bytes.size;
    int rv = wal_group_end(&b->group);
    if (rv != HF_OK) return rv;
    w->pending_bytes += b->group.bytes.size - before;
    w->gathering = NULL;
    w->sector = b->group.sector + (uint32_t)(b->group.bytes.size / WAL_SECTOR_BYTES);
    w->chain = b->group.chain;
    list_push_back(&w->closed, &b->link);
    return HF_OK;
}

/* Begin a group for a record of `bytes` bytes; in the next segment, if it does not fit here. */
static int begin_gathering(struct wal *w, uint64_t bytes)
{
    HF_ASSERT(w->gathering == NULL);
    struct wal_batch *b = batch_new(w);
    if (wal_group_sectors(bytes) > sectors_of(w, w->segment) - w->sector) {
        b->opens = true;
        b->head = (struct wal_head){
            .segment = w->segment + 1,
            .next_index = w->last_index + 1,
            .previous_bytes = (uint64_t)w->sector * WAL_SECTOR_BYTES,
            .chain = w->chain,
            .segment_bytes = sectors_of(w, w->segment + 1) * WAL_SECTOR_BYTES,
        };
        memcpy(b->head.cluster_id, w->config.cluster_id, WAL_CLUSTER_ID_BYTES);
        w->segment += 1;
        w->sector = 1;
        HF_ASSERT(wal_group_sectors(bytes) <= sectors_of(w, w->segment) - w->sector);
    }
    b->segment = w->segment;
    b->previous_chain = w->chain;
    struct wal_tags tags = wal_tags_make(w->config.cluster_id, w->segment);
    int rv = wal_group_begin(&b->group, tags, w->sector, w->chain);
    if (rv != HF_OK) {
        batch_free(b);
        return rv;
    }
    w->pending_bytes += b->group.bytes.size;
    w->gathering = b;
    return HF_OK;
}

/* Put a record into the gathering group, or into a new one if it is full. */
static int gather(struct wal *w, const struct wal_record *record)
{
    uint64_t bytes = WAL_RECORD_HEAD_BYTES + record->data.size;
    struct wal_batch *b = w->gathering;
    if (b != NULL) {
        uint64_t sectors = wal_group_sectors(b->group.record_bytes + bytes);
        bool full = sectors > sectors_of(w, b->segment) - b->group.sector ||
                    b->group.record_bytes + bytes > WAL_GROUP_BYTES_MAX;
        int rv = full ? close_gathering(w) : HF_OK;
        if (rv != HF_OK) return rv;
    }
    if (w->gathering == NULL) {
        int rv = begin_gathering(w, bytes);
        if (rv != HF_OK) return rv;
    }
    b = w->gathering;
    size_t before = b->group.bytes.size;
    int rv = wal_group_add(&b->group, record);
    w->pending_bytes += b->group.bytes.size - before;
    return rv;
}

int wal_append(struct wal *w, const struct log_entry *entry)
{
    HF_ASSERT(entry->index == w->last_index + 1);
    HF_ASSERT(entry->data.size <= wal_entry_bytes_max(w));
    HF_ASSERT(log_type_is_known(entry->type));
    struct wal_record record = {
        .index = entry->index,
        .term = entry->term,
        .type = entry->type,
        .data = entry->data,
    };
    int rv = gather(w, &record);
    if (rv != HF_OK) return rv;
    struct wal_batch *b = w->gathering;
    if (b->last_index == 0) {
        wal_mark_maybe(w, entry->index, b->segment, b->group.sector, b->previous_chain);
    }
    b->last_index = entry->index;
    w->last_index = entry->index;
    return HF_OK;
}

static void cut_last_index(struct wal_batch *b, uint64_t index)
{
    if (b != NULL && b->last_index >= index) b->last_index = index - 1;
}

/* The entries from `index` on are no longer the log's, whatever write of them is under way. */
static void cut_pending(struct wal *w, uint64_t index)
{
    struct wal_job *job = &w->jobs[WAL_LANE_WRITE];
    if (job->taken) cut_last_index(job->batch, index);
    LIST_FOR(item, &w->closed)
    {
        cut_last_index(HF_CONTAINER_OF(item, struct wal_batch, link), index);
    }
    if (w->durable_index >= index) w->durable_index = index - 1;
    wal_marks_cut(w, index);
}

int wal_truncate(struct wal *w, uint64_t index)
{
    HF_ASSERT(index >= 1);
    HF_ASSERT(index <= w->last_index);
    int rv = close_gathering(w); /* no group holds two entries of one index */
    if (rv != HF_OK) return rv;
    cut_pending(w, index);
    /* the head of a segment that this may begin still speaks of the log before the cut */
    rv = gather(w, &(struct wal_record){.index = index, .type = WAL_TRUNCATE});
    w->last_index = index - 1;
    return rv;
}

int wal_reset(struct wal *w, uint64_t next_index)
{
    HF_ASSERT(next_index >= 1);
    int rv = close_gathering(w);
    if (rv != HF_OK) return rv;
    cut_pending(w, 1);
    LIST_FOR(item, &w->closed) HF_CONTAINER_OF(item, struct wal_batch, link)->reset_next = 0;
    struct wal_job *job = &w->jobs[WAL_LANE_WRITE];
    if (job->taken) job->batch->reset_next = 0;
    rv = gather(w, &(struct wal_record){.index = next_index, .type = WAL_RESET});
    if (rv != HF_OK) return rv;
    w->last_index = next_index - 1;
    w->gathering->reset_next = next_index;
    return HF_OK;
}

void wal_remove_before(struct wal *w, uint64_t index)
{
    HF_ASSERT(index <= w->last_index + 1);
    if (index > w->remove_before) w->remove_before = index;
}

uint64_t wal_trail_begin(const struct wal *w, uint64_t index, uint64_t bytes)
{
    HF_ASSERT(index >= 1);
    HF_ASSERT(w->segment_count >= 1);
    size_t at = 0; /* the segment with `index`, or where that was written anew */
    for (size_t i = 0; i < w->segment_count; i++) {
        uint64_t next_index = w->segments[i].next_index;
        if (next_index != 0 && next_index <= index) at = i;
    }
    uint64_t begin = w->segments[at].next_index;
    uint64_t kept = 0;
    while (at > 0 && kept < bytes) {
        at -= 1;
        kept += (uint64_t)w->segments[at].sectors * WAL_SECTOR_BYTES;
        if (w->segments[at].next_index < begin) begin = w->segments[at].next_index;
    }
    return begin < index ? begin : index;
}

int wal_read(struct wal *w, struct wal_read *read)
{
    HF_ASSERT(read->first >= wal_first_index(w));
    HF_ASSERT(read->first <= w->durable_index);
    HF_ASSERT(read->done_cb != NULL);
    if (w->read_count >= WAL_READS_MAX) return HF_ETOOBUSY;
    if (read->data.bytes_max == 0) buffer_init(&read->data, WAL_SEGMENT_BYTES_MAX);
    list_push_back(&w->reads, &read->link);
    w->read_count += 1;
    return HF_OK;
}

void wal_read_close(struct wal_read *read)
{
    buffer_close(&read->data);
    free(read->entries);
    *read = (struct wal_read){0};
}

/* ------------------------------------------------------------------ jobs */

static struct wal_job *take_write(struct wal *w, struct wal_job *job)
{
    if (list_empty(&w->closed) && w->gathering == NULL) return NULL;
    if (list_empty(&w->closed)) {
        job->status = close_gathering(w);
        HF_ASSERT(job->status == HF_OK); /* room for the padding is reserved with each record */
    }
    struct wal_batch *b = HF_CONTAINER_OF(w->closed.next, struct wal_batch, link);
    struct wal_segment *s = wal_segment_find(w, b->segment);
    if (s == NULL) return NULL; /* its segment is still being prepared */
    HF_ASSERT(s->file != NULL);
    list_remove(&b->link);
    job->kind = WAL_JOB_WRITE;
    job->batch = b;
    job->file = s->file;
    job->sealed = NULL;
    if (b->opens) {
        wal_head_encode(&b->head, job->head);
        struct wal_segment *before = wal_segment_find(w, b->segment - 1);
        if (before != NULL) {
            job->sealed = before->file;
            before->file = NULL;
        }
    }
    return job;
}

/* Where the entry `first` is, and up to where what follows can be read with it. */
static bool locate(struct wal *w, struct wal_job *job, uint64_t first)
{
    if (first < wal_first_index(w) || first > w->durable_index) return false;
    size_t low = 0;
    size_t high = w->mark_count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (w->marks[middle].index <= first) {
            low = middle;
        } else {
            high = middle;
        }
    }
    const struct wal_mark *mark = &w->marks[low];
    const struct wal_mark *next = low + 1 < w->mark_count ? mark + 1 : NULL;
    const struct wal_segment *s = wal_segment_find(w, mark->segment);
    HF_ASSERT(s != NULL && mark->index <= first);
    job->number = mark->segment;
    job->sector = mark->sector;
    job->end_sector = s->end_sector;
    if (next != NULL && next->segment == mark->segment && next->sector < job->end_sector) {
        job->end_sector = next->sector;
    }
    job->chain = mark->chain;
    job->index_end = w->durable_index + 1;
    if (next != NULL && next->index < job->index_end) job->index_end = next->index;
    job->tags = wal_tags_make(w->config.cluster_id, mark->segment);
    return job->end_sector > job->sector;
}

/* The oldest segment goes once the next one is begun and starts at or below what is kept. */
static bool first_is_removable(const struct wal *w)
{
    if (w->segment_count < 2) return false;
    const struct wal_segment *next = &w->segments[1];
    return next->next_index != 0 && next->next_index <= w->remove_before &&
           w->segments[0].file == NULL;
}

static struct wal_job *take_background(struct wal *w, struct wal_job *job)
{
    bool may_prepare = !w->prepare_failed || w->prepare_again;
    if (may_prepare && prepared_last(w) < w->segment + 1) {
        w->prepare_again = false;
        job->kind = WAL_JOB_PREPARE;
        job->number = prepared_last(w) + 1;
        job->bytes = w->config.segment_bytes;
        return job;
    }
    if (!list_empty(&w->reads)) {
        job->kind = WAL_JOB_READ;
        job->read = HF_CONTAINER_OF(w->reads.next, struct wal_read, link);
        list_remove(&job->read->link);
        if (!locate(w, job, job->read->first)) job->status = HF_ENOTFOUND;
        return job;
    }
    if (first_is_removable(w)) {
        job->kind = WAL_JOB_REMOVE;
        job->number = w->segments[0].number;
        size_t dead = 0;
        while (dead < w->mark_count && w->marks[dead].segment == job->number) dead += 1;
        w->mark_count -= dead;
        memmove(w->marks, w->marks + dead, w->mark_count * sizeof *w->marks);
        return job;
    }
    return NULL;
}

struct wal_job *wal_job_take(struct wal *w, enum wal_lane lane)
{
    HF_ASSERT(lane == WAL_LANE_WRITE || lane == WAL_LANE_BACKGROUND);
    struct wal_job *job = &w->jobs[lane];
    if (job->taken) return NULL;
    job->lane = lane;
    job->status = HF_OK;
    struct wal_job *taken = lane == WAL_LANE_WRITE ? take_write(w, job) : take_background(w, job);
    if (taken != NULL) taken->taken = true;
    return taken;
}

static void write_done(struct wal *w, struct wal_job *job)
{
    struct wal_batch *b = job->batch;
    struct wal_segment *s = wal_segment_find(w, b->segment);
    HF_ASSERT(s != NULL);
    s->end_sector = b->group.sector + (uint32_t)(b->group.bytes.size / WAL_SECTOR_BYTES);
    if (b->opens) s->next_index = b->head.next_index;
    if (b->reset_next != 0) w->durable_index = b->reset_next - 1;
    if (b->last_index > w->durable_index) w->durable_index = b->last_index;
    HF_ASSERT(w->durable_index <= w->last_index);
    HF_ASSERT(w->pending_bytes >= b->group.bytes.size);
    w->pending_bytes -= b->group.bytes.size;
    batch_retire(w, b);
}

int wal_job_done(struct wal *w, struct wal_job *job)
{
    HF_ASSERT(job->taken);
    HF_ASSERT(job == &w->jobs[job->lane]);
    job->taken = false;
    int status = job->status;
    switch (job->kind) {
    case WAL_JOB_WRITE:
        if (status == HF_OK) {
            write_done(w, job);
        } else {
            batch_free(job->batch);
        }
        return status;
    case WAL_JOB_PREPARE:
        w->prepare_failed = status == HF_EDISKFULL;
        if (status != HF_OK) return w->prepare_failed ? HF_OK : status;
        struct wal_segment s = {
            .number = job->number,
            .sectors = (uint32_t)(job->bytes / WAL_SECTOR_BYTES),
            .end_sector = 1,
            .file = job->file,
        };
        wal_segment_add(w, &s);
        return HF_OK;
    case WAL_JOB_REMOVE:
        w->segment_count -= 1;
        w->segment_bytes -= (uint64_t)w->segments[0].sectors * WAL_SECTOR_BYTES;
        memmove(w->segments, w->segments + 1, w->segment_count * sizeof *w->segments);
        return status;
    case WAL_JOB_READ:
        w->read_count -= 1;
        job->read->done_cb(job->read, status, job->read->cb_data);
        return status == HF_ENOTFOUND ? HF_OK : status;
    }
    HF_UNREACHABLE();
}

int wal_run_all(struct wal *w)
{
    for (;;) {
        bool any = false;
        for (int lane = WAL_LANE_BACKGROUND; lane >= WAL_LANE_WRITE; lane--) {
            struct wal_job *job = wal_job_take(w, (enum wal_lane)lane);
            if (job == NULL) continue;
            any = true;
            wal_job_run(w->disk, job);
            int rv = wal_job_done(w, job);
            if (rv != HF_OK) return rv;
        }
        if (!any) return HF_OK;
    }
}

/* ------------------------------------------------------------------ the rest */

uint64_t wal_first_index(const struct wal *w)
{
    return w->mark_count > 0 ? w->marks[0].index : w->last_index + 1;
}

uint64_t wal_last_index(const struct wal *w)
{
    return w->last_index;
}

uint64_t wal_durable_index(const struct wal *w)
{
    return w->durable_index;
}

uint64_t wal_newest_segment(const struct wal *w)
{
    HF_ASSERT(w->segment_count > 0);
    size_t at = w->segment_count - 1;
    while (at > 0 && w->segments[at].next_index == 0) at -= 1; /* spares */
    return w->segments[at].number;
}

size_t wal_pending_bytes(const struct wal *w)
{
    return w->pending_bytes;
}

size_t wal_entry_bytes_max(const struct wal *w)
{
    size_t sectors = w->config.segment_bytes / WAL_SECTOR_BYTES - 1;
    size_t room = sectors * WAL_PAYLOAD_BYTES - WAL_GROUP_HEAD_BYTES - WAL_RECORD_HEAD_BYTES;
    return room < LOG_ENTRY_BYTES_MAX ? room : LOG_ENTRY_BYTES_MAX;
}

bool wal_has_room(const struct wal *w)
{
    return !w->prepare_failed || prepared_last(w) > w->segment;
}

void wal_prepare_retry(struct wal *w)
{
    w->prepare_again = w->prepare_failed;
}

uint64_t wal_disk_bytes(const struct wal *w)
{
    return w->segment_bytes;
}

static void free_batches(struct list *head)
{
    LIST_FOR_SAFE(item, head)
    {
        list_remove(item);
        batch_free(HF_CONTAINER_OF(item, struct wal_batch, link));
    }
}

void wal_close(struct wal *w)
{
    if (w == NULL) return;
    HF_ASSERT(!w->jobs[WAL_LANE_WRITE].taken);
    HF_ASSERT(!w->jobs[WAL_LANE_BACKGROUND].taken);
    free_batches(&w->closed);
    free_batches(&w->free);
    if (w->gathering != NULL) batch_free(w->gathering);
    for (size_t i = 0; i < w->segment_count; i++) disk_close(w->disk, w->segments[i].file);
    free(w->segments);
    free(w->marks);
    free(w);
}
