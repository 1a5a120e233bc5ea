/* Bytes from a log, or from a peer, as an entry: read to its end, decoded as apply does, and
 * written again from what was read. */
#include "protocol/entry.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/protocol/sample.h"

/* One op of an entry into f->out. \retval false it does not decode */
static bool copy_op(struct fuzz *f, const struct entry_op *op)
{
    const struct op_info *info = op_find(op->op);
    if (info == NULL) return false;
    arena_reset(&f->arena);
    struct envelope envelope;
    union sample request;
    if (codec_decode(&envelope_type, op->envelope, &f->arena, &envelope) != HF_OK) return false;
    if (codec_decode(info->request, op->body, &f->arena, &request) != HF_OK) return false;
    HF_ASSERT(entry_add(&f->out, op->op, &envelope, op->body) == HF_OK);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz *f = fuzz_begin();
    struct entry_header header;
    struct entry_reader reader;
    struct slice entry = slice_make(data, size);
    if (entry_open(entry, &header, &reader) != HF_OK) return 0;
    HF_ASSERT(entry_begin(&f->out) == HF_OK);
    struct entry_op op;
    int rv;
    while ((rv = entry_next(&reader, &op)) == HF_OK) {
        if (!copy_op(f, &op)) return 0;
    }
    if (rv != HF_ENOTFOUND) return 0;
    HF_ASSERT(entry_op_count(&f->out) == header.op_count);
    entry_close(&f->out, header.flags, header.cluster_time_ms, header.wall_ms);
    HF_ASSERT(slice_equal(buffer_slice(&f->out), entry));
    return 0;
}
