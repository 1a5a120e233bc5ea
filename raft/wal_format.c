/* The layout that raft/wal_format.h tells, as code: offsets, tags, checks. Writing asserts what the
 * caller promises; reading trusts no byte and says what kind of damage it met. */
#include "raft/wal_format.h"

#include <string.h>

#include "base/hash.h"
#include "base/planted.h"
#include "base/status.h"

/* Sector 0: tag, check of the next 64 bytes, magic, version, then the head's fields. */
enum {
    HEAD_CHECK_AT = 4,
    HEAD_MAGIC_AT = 8,
    HEAD_VERSION_AT = 16,
    HEAD_CLUSTER_AT = 20,
    HEAD_SEGMENT_AT = 36,
    HEAD_NEXT_AT = 44,
    HEAD_PREVIOUS_AT = 52,
    HEAD_CHAIN_AT = 60,
    HEAD_BYTES_AT = 64,
    HEAD_END = 68,
    TAG_BITS_MIN = 8,
    TAG_BITS_MAX = 24,
};

static const uint8_t magic[8] = {'h', 'f', '-', 'w', 'a', 'l', '\n', 0};
static const uint8_t zeros[WAL_SECTOR_BYTES];

_Static_assert(WAL_RECORD_HEAD_BYTES + WAL_GROUP_HEAD_BYTES <= WAL_PAYLOAD_BYTES,
               "a group's first sector holds its head and a record's");

static bool all_zero(const uint8_t *bytes, size_t size)
{
    while (size > 0) {
        size_t part = size < sizeof zeros ? size : sizeof zeros;
        if (memcmp(bytes, zeros, part) != 0) return false;
        bytes += part;
        size -= part;
    }
    return true;
}

struct wal_tags wal_tags_make(const uint8_t cluster_id[WAL_CLUSTER_ID_BYTES], uint64_t segment)
{
    return (struct wal_tags){.base = hash64(segment, cluster_id, WAL_CLUSTER_ID_BYTES)};
}

/* The finaliser of splitmix64: two to three nanoseconds a sector. */
static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

uint32_t wal_tag(struct wal_tags tags, uint32_t sector)
{
    uint64_t z = tags.base + 0x9e3779b97f4a7c15U * ((uint64_t)sector + 1);
    for (;;) {
        z = mix(z);
        uint32_t tag = (uint32_t)(z >> 32);
        int bits = __builtin_popcount(tag);
        if (bits >= TAG_BITS_MIN && bits <= TAG_BITS_MAX) return tag;
    }
}

enum wal_sector_kind wal_sector_kind(struct wal_tags tags, uint32_t sector, const uint8_t *bytes)
{
    uint32_t found = get_u32(bytes);
    if (found == 0) return all_zero(bytes, WAL_SECTOR_BYTES) ? WAL_SECTOR_ZERO : WAL_SECTOR_ROT;
    uint32_t tag = wal_tag(tags, sector);
    if (found == tag) return WAL_SECTOR_START;
    return found == ~tag ? WAL_SECTOR_MORE : WAL_SECTOR_ROT;
}

void wal_head_encode(const struct wal_head *head, uint8_t out[WAL_SECTOR_BYTES])
{
    HF_ASSERT(head->segment >= 1);
    HF_ASSERT(head->next_index >= 1);
    memset(out, 0, WAL_SECTOR_BYTES);
    put_u32(out, wal_tag(wal_tags_make(head->cluster_id, head->segment), 0));
    memcpy(out + HEAD_MAGIC_AT, magic, sizeof magic);
    put_u32(out + HEAD_VERSION_AT, WAL_VERSION);
    memcpy(out + HEAD_CLUSTER_AT, head->cluster_id, WAL_CLUSTER_ID_BYTES);
    put_u64(out + HEAD_SEGMENT_AT, head->segment);
    put_u64(out + HEAD_NEXT_AT, head->next_index);
    put_u64(out + HEAD_PREVIOUS_AT, head->previous_bytes);
    put_u32(out + HEAD_CHAIN_AT, head->chain);
    put_u32(out + HEAD_BYTES_AT, head->segment_bytes);
    put_u32(out + HEAD_CHECK_AT, crc32c(0, out + HEAD_MAGIC_AT, HEAD_END - HEAD_MAGIC_AT));
}

int wal_head_decode(const uint8_t bytes[WAL_SECTOR_BYTES], struct wal_head *head)
{
    if (all_zero(bytes, WAL_SECTOR_BYTES)) return HF_ENOTFOUND;
    uint32_t check = crc32c(0, bytes + HEAD_MAGIC_AT, HEAD_END - HEAD_MAGIC_AT);
    if (get_u32(bytes + HEAD_CHECK_AT) != check) return HF_ECORRUPT;
    if (memcmp(bytes + HEAD_MAGIC_AT, magic, sizeof magic) != 0) return HF_ECORRUPT;
    if (get_u32(bytes + HEAD_VERSION_AT) != WAL_VERSION) return HF_EVERSION;

    struct wal_head h = {
        .segment = get_u64(bytes + HEAD_SEGMENT_AT),
        .next_index = get_u64(bytes + HEAD_NEXT_AT),
        .previous_bytes = get_u64(bytes + HEAD_PREVIOUS_AT),
        .chain = get_u32(bytes + HEAD_CHAIN_AT),
        .segment_bytes = get_u32(bytes + HEAD_BYTES_AT),
    };
    memcpy(h.cluster_id, bytes + HEAD_CLUSTER_AT, WAL_CLUSTER_ID_BYTES);
    struct wal_tags tags = wal_tags_make(h.cluster_id, h.segment);
    if (get_u32(bytes) != wal_tag(tags, 0)) return HF_ECORRUPT;
    if (h.segment == 0 || h.next_index == 0) return HF_ECORRUPT;
    if (!all_zero(bytes + HEAD_END, WAL_SECTOR_BYTES - HEAD_END)) return HF_ECORRUPT;
    *head = h;
    return HF_OK;
}

/* Append payload bytes, beginning a sector with its tag wherever one begins. */
static int put(struct wal_group *g, const uint8_t *data, size_t size)
{
    while (size > 0) {
        size_t used = g->bytes.size % WAL_SECTOR_BYTES;
        if (used == 0) {
            size_t nth = g->bytes.size / WAL_SECTOR_BYTES;
            uint32_t tag = wal_tag(g->tags, g->sector + (uint32_t)nth);
            uint8_t raw[WAL_TAG_BYTES];
            put_u32(raw, nth == 0 ? tag : ~tag);
            int rv = buffer_append(&g->bytes, raw, sizeof raw);
            if (rv != HF_OK) return rv;
            used = sizeof raw;
        }
        size_t part = WAL_SECTOR_BYTES - used;
        if (part > size) part = size;
        int rv = buffer_append(&g->bytes, data, part);
        if (rv != HF_OK) return rv;
        data += part;
        size -= part;
    }
    return HF_OK;
}

int wal_group_begin(struct wal_group *g, struct wal_tags tags, uint32_t sector, uint32_t chain)
{
    HF_ASSERT(sector >= 1); /* sector 0 is the segment's head */
    HF_ASSERT(g->bytes.bytes_max > 0);
    buffer_clear(&g->bytes);
    g->tags = tags;
    g->sector = sector;
    g->chain = chain;
    g->count = 0;
    g->record_bytes = 0;
    uint8_t head[WAL_GROUP_HEAD_BYTES] = {0};
    put_u32(head + 12, chain);
    return put(g, head, sizeof head);
}

int wal_group_add(struct wal_group *g, const struct wal_record *record)
{
    HF_ASSERT(record->data.size <= LOG_ENTRY_BYTES_MAX);
    HF_ASSERT(g->bytes.size > 0);
    uint8_t head[WAL_RECORD_HEAD_BYTES] = {0};
    put_u32(head + 4, g->chain);
    put_u32(head + 8, (uint32_t)record->data.size);
    head[12] = record->type;
    put_u64(head + 16, record->index);
    put_u64(head + 24, record->term);
    uint32_t check = crc32c(0, head + 4, sizeof head - 4);
    check = crc32c(check, record->data.data, record->data.size);
    put_u32(head, check);

    int rv =
        buffer_reserve(&g->bytes, (size_t)(wal_group_sectors(sizeof head + record->data.size) + 1) *
                                      WAL_SECTOR_BYTES);
    if (rv != HF_OK) return rv;
    rv = put(g, head, sizeof head);
    if (rv == HF_OK) rv = put(g, record->data.data, record->data.size);
    if (rv != HF_OK) return rv;
    g->chain = check;
    g->count += 1;
    g->record_bytes += sizeof head + record->data.size;
    return HF_OK;
}

int wal_group_end(struct wal_group *g)
{
    HF_ASSERT(g->count >= 1);
    size_t used = g->bytes.size % WAL_SECTOR_BYTES;
    if (used != 0) {
        int rv = buffer_append(&g->bytes, zeros, WAL_SECTOR_BYTES - used);
        if (rv != HF_OK) return rv;
    }
    HF_ASSERT(g->bytes.size == wal_group_sectors(g->record_bytes) * WAL_SECTOR_BYTES);
    uint8_t *head = g->bytes.data + WAL_TAG_BYTES;
    put_u32(head + 4, (uint32_t)g->record_bytes);
    put_u32(head + 8, g->count);
    put_u32(head, crc32c(0, head + 4, WAL_GROUP_HEAD_BYTES - 4));
    return HF_OK;
}

/* ------------------------------------------------------------------ reading */

static const uint8_t *sector_at(const struct wal_scan *s, uint32_t sector)
{
    HF_ASSERT(sector >= s->first_sector);
    HF_ASSERT(sector < s->first_sector + s->sectors);
    return s->bytes + (size_t)(sector - s->first_sector) * WAL_SECTOR_BYTES;
}

static enum wal_sector_kind kind_of(const struct wal_scan *s, uint32_t sector)
{
    return wal_sector_kind(s->tags, sector, sector_at(s, sector));
}

static enum wal_verdict bad(struct wal_scan *s, uint32_t sector, enum wal_verdict verdict)
{
    s->bad_sector = sector;
    return verdict;
}

/* A group that begins at `hole` lacks sectors. Torn, if nothing behind its extent was ever
 * written; `behind`: the first sector that is surely not its own, or any sector with a start tag.
 * With not even its first sector there, every start tag behind is another group's. */
static enum wal_verdict judge_hole(struct wal_scan *s, uint32_t hole, uint32_t behind)
{
    uint32_t end = s->first_sector + s->sectors;
    if (s->sealed) return bad(s, hole, WAL_LOST); /* a later segment was begun: all was synced */
    bool any = false;
    for (uint32_t i = hole + 1; i < end; i++) {
        switch (kind_of(s, i)) {
        case WAL_SECTOR_ZERO: continue;
        case WAL_SECTOR_ROT: return bad(s, i, WAL_ROT);
        case WAL_SECTOR_START: return bad(s, hole, WAL_LOST);
        case WAL_SECTOR_MORE:
            if (i >= behind) return bad(s, hole, WAL_LOST);
            any = true;
        }
    }
    bool begun = kind_of(s, hole) != WAL_SECTOR_ZERO;
    return any || begun ? bad(s, hole, WAL_TORN) : WAL_CLEAN;
}

/* Copy a whole group's bytes to the scratch buffer, without tags; its padding must be zero. */
static bool gather(struct wal_scan *s, uint32_t sector, uint32_t sectors, uint32_t record_bytes)
{
    buffer_clear(s->scratch);
    size_t bytes = (size_t)sectors * WAL_PAYLOAD_BYTES;
    s->status = buffer_reserve(s->scratch, bytes);
    if (s->status != HF_OK) return false;
    for (uint32_t i = 0; i < sectors; i++) {
        const uint8_t *from = sector_at(s, sector + i) + WAL_TAG_BYTES;
        memcpy(s->scratch->data + s->scratch->size, from, WAL_PAYLOAD_BYTES);
        s->scratch->size += WAL_PAYLOAD_BYTES;
    }
    size_t used = WAL_GROUP_HEAD_BYTES + (size_t)record_bytes;
    return all_zero(s->scratch->data + used, bytes - used);
}

static bool record_type_is_known(uint8_t type)
{
    return log_type_is_known(type) || type == WAL_TRUNCATE || type == WAL_RESET;
}

/* Check one record at `at`. Moves `at` and the chain, or returns false. */
static bool parse_record(struct slice bytes, size_t *at, uint32_t *chain, struct wal_record *record)
{
    if (bytes.size - *at < WAL_RECORD_HEAD_BYTES) return false;
    const uint8_t *head = bytes.data + *at;
    uint32_t size = get_u32(head + 8);
    if (size > LOG_ENTRY_BYTES_MAX) return false;
    if (bytes.size - *at - WAL_RECORD_HEAD_BYTES < size) return false;
    uint32_t check = crc32c(0, head + 4, WAL_RECORD_HEAD_BYTES - 4 + (size_t)size);
    if (planted(TORN_AS_DATA)) check = get_u32(head);
    if (get_u32(head) != check || get_u32(head + 4) != *chain) return false;
    if (!record_type_is_known(head[12]) || !all_zero(head + 13, 3)) return false;
    *record = (struct wal_record){
        .index = get_u64(head + 16),
        .term = get_u64(head + 24),
        .type = head[12],
        .data = slice_make(head + WAL_RECORD_HEAD_BYTES, size),
    };
    if (record->index == 0) return false;
    *at += WAL_RECORD_HEAD_BYTES + (size_t)size;
    *chain = check;
    return true;
}

/* Check all records of the gathered group, then hand them out: nothing of a bad group is used. */
static bool hand_out(struct wal_scan *s, uint32_t sector, uint32_t record_bytes, uint32_t count)
{
    struct slice bytes = {s->scratch->data + WAL_GROUP_HEAD_BYTES, record_bytes};
    for (int pass = 0; pass < 2; pass++) {
        size_t at = 0;
        uint32_t chain = s->chain;
        for (uint32_t i = 0; i < count; i++) {
            struct wal_record record;
            if (!parse_record(bytes, &at, &chain, &record)) return false;
            if (pass == 0) continue;
            s->status = s->each(&record, sector, s->chain, s->data);
            if (s->status != HF_OK) return true;
        }
        if (at != bytes.size) return false;
        if (pass == 1) s->chain = chain;
    }
    return true;
}

/* The group whose first sector is at `sector`. Moves end_sector behind it, or judges. */
static enum wal_verdict scan_group(struct wal_scan *s, uint32_t sector)
{
    uint32_t left = s->first_sector + s->sectors - sector;
    const uint8_t *head = sector_at(s, sector) + WAL_TAG_BYTES;
    if (get_u32(head) != crc32c(0, head + 4, WAL_GROUP_HEAD_BYTES - 4)) {
        return bad(s, sector, WAL_ROT);
    }
    uint32_t record_bytes = get_u32(head + 4);
    uint32_t count = get_u32(head + 8);
    uint64_t sectors = wal_group_sectors(record_bytes);
    if (count == 0 || sectors > left) return bad(s, sector, WAL_ROT);
    if (get_u32(head + 12) != s->chain) return bad(s, sector, WAL_ROT);

    bool hole = false;
    for (uint32_t i = 1; i < sectors; i++) {
        enum wal_sector_kind kind = kind_of(s, sector + i);
        if (kind == WAL_SECTOR_ZERO) {
            hole = true;
        } else if (kind != WAL_SECTOR_MORE) {
            return bad(s, sector + i, WAL_ROT);
        }
    }
    if (hole && !planted(TORN_AS_DATA)) return judge_hole(s, sector, sector + (uint32_t)sectors);
    if (!gather(s, sector, (uint32_t)sectors, record_bytes)) return bad(s, sector, WAL_ROT);
    if (!hand_out(s, sector, record_bytes, count)) return bad(s, sector, WAL_ROT);
    s->end_sector = sector + (uint32_t)sectors;
    return WAL_CLEAN;
}

enum wal_verdict wal_scan_run(struct wal_scan *s)
{
    HF_ASSERT(s->first_sector >= 1);
    HF_ASSERT(s->each != NULL);
    uint32_t end = s->first_sector + s->sectors;
    s->end_sector = s->first_sector;
    s->bad_sector = 0;
    s->status = HF_OK;
    while (s->end_sector < end) {
        uint32_t sector = s->end_sector;
        enum wal_verdict verdict;
        switch (kind_of(s, sector)) {
        case WAL_SECTOR_START: verdict = scan_group(s, sector); break;
        case WAL_SECTOR_ZERO: return judge_hole(s, sector, end);
        default: return bad(s, sector, WAL_ROT); /* a group must begin here */
        }
        if (verdict != WAL_CLEAN || s->status != HF_OK) return verdict;
    }
    return WAL_CLEAN;
}

const char *wal_verdict_name(enum wal_verdict verdict)
{
    switch (verdict) {
    case WAL_CLEAN: return "clean";
    case WAL_TORN: return "a torn last write";
    case WAL_LOST: return "a synced write that is missing";
    case WAL_ROT: return "bytes that changed after they were written";
    }
    return "?";
}
