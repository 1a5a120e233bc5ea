/* The rows' descriptions and the keys' builders. Tables only and byte order only: what the rows
 * mean is their users' business. Lengths are asserted, for keys are built from decoded, bounded
 * requests. */
#include "machine/rows.h"

#define DEFINE_ROW(T, FIELDS, row_version) CODEC_DEFINE(T, FIELDS, row_version)
HF_ROWS(DEFINE_ROW)
#undef DEFINE_ROW

static void add_u64(struct row_key *key, uint64_t number)
{
    HF_ASSERT(key->size + 8U <= sizeof key->bytes);
    put_u64(key->bytes + key->size, number);
    key->size = (uint16_t)(key->size + 8);
}

static void add_byte(struct row_key *key, uint8_t byte)
{
    HF_ASSERT(key->size < sizeof key->bytes);
    key->bytes[key->size++] = byte;
}

static void add_bytes(struct row_key *key, struct slice bytes)
{
    HF_ASSERT(bytes.size >= 1);
    HF_ASSERT(key->size + bytes.size <= sizeof key->bytes);
    memcpy(key->bytes + key->size, bytes.data, bytes.size);
    key->size = (uint16_t)(key->size + bytes.size);
}

struct row_key row_key_u64(uint64_t number)
{
    struct row_key key;
    key.size = 0;
    add_u64(&key, number);
    return key;
}

struct row_key row_key_pair(uint64_t first, uint64_t second)
{
    struct row_key key;
    key.size = 0;
    add_u64(&key, first);
    add_u64(&key, second);
    return key;
}

struct row_key row_key_grant(uint64_t session, uint64_t owner, uint64_t token)
{
    struct row_key key;
    key.size = 0;
    add_u64(&key, session);
    add_u64(&key, owner);
    add_u64(&key, token);
    return key;
}

struct row_key row_key_name(struct slice name)
{
    HF_ASSERT(name.size <= NAME_BYTES_MAX);
    struct row_key key;
    key.size = 0;
    add_bytes(&key, name);
    return key;
}

struct row_key row_key_name_prefix(struct slice name)
{
    struct row_key key = row_key_name(name);
    add_byte(&key, 0);
    return key;
}

struct row_key row_key_branch(struct slice gid, struct slice branch)
{
    HF_ASSERT(gid.size + 1 + branch.size <= NAME_BYTES_MAX);
    struct row_key key = row_key_name_prefix(gid);
    add_bytes(&key, branch);
    return key;
}

void row_key_branch_parts(struct slice key, struct slice *gid, struct slice *branch)
{
    const uint8_t *end = memchr(key.data, 0, key.size);
    HF_ASSERT(end != NULL); /* such keys are built here alone */
    size_t gid_bytes = (size_t)(end - key.data);
    *gid = slice_make(key.data, gid_bytes);
    *branch = slice_make(end + 1, key.size - gid_bytes - 1);
}

struct row_key row_key_queue(struct slice name, uint64_t ticket)
{
    struct row_key key = row_key_name_prefix(name);
    add_u64(&key, ticket);
    return key;
}

struct row_key row_key_holder(struct slice name, uint64_t session, uint64_t owner)
{
    struct row_key key = row_key_name_prefix(name);
    add_u64(&key, session);
    add_u64(&key, owner);
    return key;
}

struct row_key row_key_frozen(struct slice prefix)
{
    struct row_key key;
    key.size = 0;
    add_byte(&key, 0);
    if (prefix.size > 0) add_bytes(&key, prefix);
    return key;
}

struct row_key row_key_timer_group(struct slice group)
{
    HF_ASSERT(group.size <= TIMER_GROUP_BYTES_MAX);
    struct row_key key;
    key.size = 0;
    add_byte(&key, 0);
    add_bytes(&key, group);
    add_byte(&key, 0);
    return key;
}

struct row_key row_key_timer_ready(struct slice group, uint64_t at_ms, struct slice key)
{
    HF_ASSERT(key.size <= NAME_BYTES_MAX);
    struct row_key row = row_key_timer_group(group);
    add_u64(&row, at_ms);
    add_bytes(&row, key);
    return row;
}

struct row_key row_key_timer_dead(struct slice key)
{
    HF_ASSERT(key.size <= NAME_BYTES_MAX);
    struct row_key row;
    row.size = 0;
    add_byte(&row, 1);
    if (key.size > 0) add_bytes(&row, key);
    return row;
}

struct row_key row_key_past_name(struct slice name)
{
    struct row_key key = row_key_name(name);
    add_byte(&key, 1); /* no name contains the NUL that stands there in its own keys */
    return key;
}

struct row_key row_key_deadline(uint64_t at_ms, enum deadline_kind kind, struct slice id)
{
    HF_ASSERT(id.size <= 2 + NAME_BYTES_MAX);
    struct row_key key;
    key.size = 0;
    add_u64(&key, at_ms);
    add_byte(&key, (uint8_t)kind);
    add_bytes(&key, id);
    return key;
}

uint64_t row_key_deadline_parts(struct slice key, enum deadline_kind *kind, struct slice *id)
{
    HF_ASSERT(key.size > 9);
    *kind = (enum deadline_kind)key.data[8];
    *id = slice_make(key.data + 9, key.size - 9);
    return get_u64(key.data);
}
