/* A reader of LMDB's file that trusts nothing (storage/lmdb_file.h): every number is held against
 * its bounds before it is used, every page must bear its own number and be met once. The nodes of a
 * page must fill it exactly from `upper` on, as LMDB leaves them: otherwise its next insertion
 * would write over them. Failure modes: HF_ECORRUPT whatever is odd; HF_EIO from the kernel;
 * nothing is ever written. */
#include "storage/lmdb_file.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/status.h"

enum { BRANCH = 0x01, LEAF = 0x02, OVERFLOW = 0x04, META = 0x08 }; /* page flags */
enum { BIG_DATA = 0x01 };                                          /* leaf node flags */

enum { MAGIC_AT = 16, VERSION_AT = 20, FREE_AT = 40, ROWS_AT = 88, LAST_AT = 136, TXN_AT = 144 };
#define MAGIC 0xbeefc0deU

static uint16_t read_u16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
static uint32_t read_u32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
static uint64_t read_u64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

int lmdb_file_read(int fd, uint64_t offset, void *out, size_t bytes)
{
    uint8_t *to = out;
    while (bytes > 0) {
        ssize_t got = pread(fd, to, bytes, (off_t)offset);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return HF_EIO;
        if (got == 0) return HF_ECORRUPT;
        to += got;
        offset += (uint64_t)got;
        bytes -= (size_t)got;
    }
    return HF_OK;
}

static struct lmdb_tree tree_decode(const uint8_t *p)
{
    return (struct lmdb_tree){.flags = read_u16(p + 4),
                              .depth = read_u16(p + 6),
                              .entries = read_u64(p + 32),
                              .root = read_u64(p + 40)};
}

static bool tree_is_sane(const struct lmdb_tree *t, uint64_t page_count)
{
    if (t->root == LMDB_NO_PAGE) return t->depth == 0 && t->entries == 0;
    return t->root >= 2 && t->root < page_count && t->depth >= 1 && t->depth <= LMDB_DEPTH_MAX;
}

int lmdb_meta_decode(const uint8_t *page, unsigned number, struct lmdb_meta *out)
{
    if (read_u64(page) != number || read_u16(page + 10) != META) return HF_ECORRUPT;
    if (read_u32(page + MAGIC_AT) != MAGIC) return HF_ECORRUPT;
    if (read_u32(page + VERSION_AT) != 1) return HF_ECORRUPT;
    struct lmdb_meta m = {.page_bytes = read_u32(page + FREE_AT),
                          .free_pages = tree_decode(page + FREE_AT),
                          .rows = tree_decode(page + ROWS_AT),
                          .page_count = read_u64(page + LAST_AT) + 1,
                          .txn = read_u64(page + TXN_AT)};
    if (m.page_bytes < 512 || m.page_bytes > LMDB_PAGE_BYTES_MAX) return HF_ECORRUPT;
    if ((m.page_bytes & (m.page_bytes - 1)) != 0) return HF_ECORRUPT;
    if (m.page_count < 2 || m.page_count > (UINT64_C(1) << 47) / m.page_bytes) return HF_ECORRUPT;
    if (!tree_is_sane(&m.free_pages, m.page_count)) return HF_ECORRUPT;
    if (!tree_is_sane(&m.rows, m.page_count)) return HF_ECORRUPT;
    *out = m;
    return HF_OK;
}

int lmdb_file_claim(struct lmdb_file *f, uint64_t page)
{
    if (page < 2 || page >= f->page_count) return HF_ECORRUPT;
    if (f->seen == NULL) return HF_OK;
    uint8_t bit = (uint8_t)(1U << (page & 7));
    if ((f->seen[page >> 3] & bit) != 0) return HF_ECORRUPT;
    f->seen[page >> 3] |= bit;
    return HF_OK;
}

/* ------------------------------------------------------------------ pages and nodes */

struct node {
    struct slice key; /* borrowed from the page */
    const uint8_t *head;
    uint64_t child;      /* branch: page number */
    uint32_t data_bytes; /* leaf */
    bool is_big;         /* leaf: the data lie in overflow pages */
};

struct walk {
    struct lmdb_file *file;
    uint8_t *pages;       /* owned: one page a level */
    uint8_t *value;       /* owned: the overflow pages of one value */
    size_t value_bytes;   /* allocated */
    lmdb_row_cb row_cb;   /* for every row */
    void *data;           /* its own */
    unsigned depth;       /* levels of this tree */
    bool is_integer;      /* order of the keys */
    bool any;             /* `bound` is valid */
    bool bound_inclusive; /* the next key may equal it */
    size_t bound_bytes;
    uint8_t bound[LMDB_KEY_BYTES_MAX];
    uint64_t entries; /* rows met */
};

/* Node `i` of a page whose offsets lie within it. \param size Out: bytes it takes up. */
static int node_decode(const uint8_t *page, size_t page_bytes, unsigned i, bool is_leaf,
                       struct node *out, size_t *size)
{
    size_t at = read_u16(page + LMDB_PAGE_HEAD_BYTES + 2 * (size_t)i);
    if (at % 2 != 0 || at < read_u16(page + 14)) return HF_ECORRUPT;
    if (at + LMDB_NODE_HEAD_BYTES > page_bytes) return HF_ECORRUPT;
    const uint8_t *p = page + at;
    uint32_t low = read_u16(p) | (uint32_t)read_u16(p + 2) << 16;
    uint16_t flags = read_u16(p + 4);
    size_t key_bytes = read_u16(p + 6);
    struct node n = {.head = p, .key = slice_make(p + LMDB_NODE_HEAD_BYTES, key_bytes)};
    size_t data_bytes = 0;
    if (is_leaf) {
        if ((flags & ~BIG_DATA) != 0) return HF_ECORRUPT;
        n.is_big = (flags & BIG_DATA) != 0;
        n.data_bytes = low;
        data_bytes = n.is_big ? sizeof(uint64_t) : low;
    } else {
        n.child = low | (uint64_t)flags << 32;
    }
    if (key_bytes > LMDB_KEY_BYTES_MAX) return HF_ECORRUPT;
    size_t node_bytes = LMDB_NODE_HEAD_BYTES + key_bytes + data_bytes;
    if (data_bytes > page_bytes || at + node_bytes > page_bytes) return HF_ECORRUPT;
    *size = node_bytes + node_bytes % 2;
    *out = n;
    return HF_OK;
}

/* Check a page's head and that its nodes fill it. \param count Out: nodes. */
static int page_check(const uint8_t *page, size_t page_bytes, uint64_t number, bool is_leaf,
                      unsigned *count)
{
    size_t lower = read_u16(page + 12);
    size_t upper = read_u16(page + 14);
    if (read_u64(page) != number) return HF_ECORRUPT;
    if (read_u16(page + 10) != (is_leaf ? LEAF : BRANCH)) return HF_ECORRUPT;
    if (lower <= LMDB_PAGE_HEAD_BYTES || lower % 2 != 0) return HF_ECORRUPT;
    if (lower > upper || upper > page_bytes) return HF_ECORRUPT;
    unsigned nodes = (unsigned)(lower - LMDB_PAGE_HEAD_BYTES) / 2;
    size_t used = 0;
    for (unsigned i = 0; i < nodes; i++) {
        struct node n;
        size_t size;
        int rv = node_decode(page, page_bytes, i, is_leaf, &n, &size);
        if (rv != HF_OK) return rv;
        used += size;
    }
    if (used != page_bytes - upper) return HF_ECORRUPT;
    *count = nodes;
    return HF_OK;
}

/* Read and check the page of a level. */
static int page_read(struct walk *w, uint64_t number, unsigned level, unsigned *count)
{
    HF_ASSERT(level < w->depth);
    size_t page_bytes = w->file->page_bytes;
    uint8_t *page = w->pages + level * page_bytes;
    int rv = lmdb_file_claim(w->file, number);
    if (rv != HF_OK) return rv;
    rv = lmdb_file_read(w->file->fd, number * page_bytes, page, page_bytes);
    if (rv != HF_OK) return rv;
    return page_check(page, page_bytes, number, level + 1 == w->depth, count);
}

/* Fetch the overflow pages of a value. */
static int big_read(struct walk *w, const struct node *n, struct slice *value)
{
    size_t page_bytes = w->file->page_bytes;
    if (n->data_bytes > LMDB_VALUE_BYTES_MAX) return HF_ECORRUPT;
    uint64_t first = read_u64(n->key.data + n->key.size);
    uint64_t pages = (LMDB_PAGE_HEAD_BYTES + (uint64_t)n->data_bytes + page_bytes - 1) / page_bytes;
    for (uint64_t i = 0; i < pages; i++) {
        int rv = lmdb_file_claim(w->file, first + i);
        if (rv != HF_OK) return rv;
    }
    size_t bytes = LMDB_PAGE_HEAD_BYTES + (size_t)n->data_bytes;
    if (bytes > w->value_bytes) {
        free(w->value);
        w->value_bytes = 0;
        w->value = malloc(bytes);
        if (w->value == NULL) return HF_ENOMEM;
        w->value_bytes = bytes;
    }
    int rv = lmdb_file_read(w->file->fd, first * page_bytes, w->value, bytes);
    if (rv != HF_OK) return rv;
    if (read_u64(w->value) != first || read_u16(w->value + 10) != OVERFLOW) return HF_ECORRUPT;
    if (read_u32(w->value + 12) != pages) return HF_ECORRUPT;
    *value = slice_make(w->value + LMDB_PAGE_HEAD_BYTES, n->data_bytes);
    return HF_OK;
}

static int give_row(struct walk *w, const struct node *n)
{
    struct slice value = slice_make(n->key.data + n->key.size, n->data_bytes);
    if (n->is_big) {
        int rv = big_read(w, n, &value);
        if (rv != HF_OK) return rv;
    }
    w->entries += 1;
    return w->row_cb(n->key, value, w->data);
}

/* ------------------------------------------------------------------ order */

/* A key must lie behind the one before, or at least at its branch's. */
static int bound_pass(struct walk *w, struct slice key, bool is_branch_key)
{
    if (key.size == 0 || key.size > sizeof w->bound) return HF_ECORRUPT;
    if (w->is_integer && key.size != sizeof(uint64_t)) return HF_ECORRUPT;
    if (w->any) {
        int order = slice_compare(key, slice_make(w->bound, w->bound_bytes));
        if (w->is_integer) {
            uint64_t a = read_u64(key.data);
            uint64_t b = read_u64(w->bound);
            order = (a > b) - (a < b);
        }
        if (order < 0 || (order == 0 && !w->bound_inclusive)) return HF_ECORRUPT;
    }
    w->any = true;
    w->bound_inclusive = is_branch_key;
    w->bound_bytes = key.size;
    memcpy(w->bound, key.data, key.size);
    return HF_OK;
}

/* Walk what lies below a page; recursion is bounded by the depth, which was checked. */
static int walk_page(struct walk *w, uint64_t number, unsigned level)
{
    unsigned count;
    int rv = page_read(w, number, level, &count);
    if (rv != HF_OK) return rv;
    bool is_leaf = level + 1 == w->depth;
    const uint8_t *page = w->pages + level * w->file->page_bytes;
    for (unsigned i = 0; i < count; i++) {
        struct node n;
        size_t size;
        rv = node_decode(page, w->file->page_bytes, i, is_leaf, &n, &size);
        if (rv != HF_OK) return rv;
        if (is_leaf || i > 0) { /* a branch's first key stands for "from the start" */
            rv = bound_pass(w, n.key, !is_leaf);
            if (rv != HF_OK) return rv;
        }
        rv = is_leaf ? give_row(w, &n) : walk_page(w, n.child, level + 1);
        if (rv != HF_OK) return rv;
    }
    return HF_OK;
}

static int walk_init(struct walk *w, struct lmdb_file *f, const struct lmdb_tree *tree,
                     lmdb_row_cb row_cb, void *data)
{
    HF_ASSERT(tree->depth >= 1 && tree->depth <= LMDB_DEPTH_MAX);
    *w = (struct walk){.file = f, .row_cb = row_cb, .data = data, .depth = tree->depth};
    w->pages = malloc(tree->depth * f->page_bytes);
    return w->pages == NULL ? HF_ENOMEM : HF_OK;
}

static void walk_close(struct walk *w)
{
    free(w->pages);
    free(w->value);
}

int lmdb_file_walk(struct lmdb_file *f, const struct lmdb_tree *tree, bool is_integer,
                   lmdb_row_cb row_cb, void *data)
{
    if (tree->root == LMDB_NO_PAGE) return HF_OK;
    struct walk w;
    int rv = walk_init(&w, f, tree, row_cb, data);
    w.is_integer = is_integer;
    if (rv == HF_OK) rv = walk_page(&w, tree->root, 0);
    if (rv == HF_OK && w.entries != tree->entries) rv = HF_ECORRUPT;
    walk_close(&w);
    return rv;
}

/* The rightmost way down. */
static int descend(struct walk *w, uint64_t number)
{
    for (unsigned level = 0; level < w->depth; level++) {
        unsigned count;
        struct node n;
        size_t size;
        bool is_leaf = level + 1 == w->depth;
        int rv = page_read(w, number, level, &count);
        if (rv != HF_OK) return rv;
        const uint8_t *page = w->pages + level * w->file->page_bytes;
        rv = node_decode(page, w->file->page_bytes, count - 1, is_leaf, &n, &size);
        if (rv != HF_OK) return rv;
        if (is_leaf) return give_row(w, &n);
        number = n.child;
    }
    HF_UNREACHABLE(); /* the last level is a leaf's */
}

int lmdb_file_last(struct lmdb_file *f, const struct lmdb_tree *tree, lmdb_row_cb row_cb,
                   void *data)
{
    HF_ASSERT(f->seen == NULL); /* two trees share pages */
    if (tree->root == LMDB_NO_PAGE) return HF_ECORRUPT;
    struct walk w;
    int rv = walk_init(&w, f, tree, row_cb, data);
    if (rv == HF_OK) rv = descend(&w, tree->root);
    walk_close(&w);
    return rv;
}
