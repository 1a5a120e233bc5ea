#include "base/status.h"

#include <errno.h>
#include <stddef.h>

#include "base/assert.h"

struct status_row {
    int code;              /* the number on the wire */
    enum status_kind kind; /* answer, weather or fault */
    unsigned reply_class;  /* 0, 1 or 2 */
    const char *name;      /* the contract's word */
    const char *text;      /* for people */
};

static const struct status_row rows[] = {
#define HF_STATUS(code, number, kind, reply_class, name, text) \
    {number, STATUS_##kind, reply_class, name, text},
#include "base/status.def"
#undef HF_STATUS
};

static const struct status_row *find(int status)
{
    for (size_t i = 0; i < HF_ARRAY_COUNT(rows); i++) {
        if (rows[i].code == status) return &rows[i];
    }
    return NULL;
}

const char *status_name(int status)
{
    const struct status_row *row = find(status);
    return row != NULL ? row->name : "?";
}

const char *status_text(int status)
{
    const struct status_row *row = find(status);
    return row != NULL ? row->text : "not a status";
}

enum status_kind status_kind(int status)
{
    const struct status_row *row = find(status);
    return row != NULL ? row->kind : STATUS_FAULT;
}

unsigned status_reply_class(int status)
{
    const struct status_row *row = find(status);
    return row != NULL ? row->reply_class : 2;
}

int status_from_errno(int errnum)
{
    switch (errnum) {
    case 0: return HF_OK;
    case ENOENT: return HF_ENOTFOUND;
    case ENOMEM: return HF_ENOMEM;
    case ENOSPC:
    case EDQUOT: return HF_EDISKFULL;
    case EEXIST: return HF_EEXIST;
    case EWOULDBLOCK: return HF_ELOCKED;
    default: return HF_EIO;
    }
}
