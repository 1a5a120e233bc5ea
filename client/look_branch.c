/* Showing branches: a list, page by page, and one of them. */
#include "client/include/holdfast_tcc.h"
#include "client/look.h"

static int show_branch(const void *branch_line, void *data)
{
    const struct branch_line *from = branch_line;
    struct look *look = data;
    char branch[NAME_BYTES_MAX + 1];
    char step[NAME_BYTES_MAX + 1];
    const hf_branch_line line = {
        .gid = look_copy(look->text.name, sizeof look->text.name, from->gid),
        .branch = look_copy(branch, sizeof branch, from->branch),
        .step = look_copy(step, sizeof step, from->step),
        .state = (int)from->state,
        .lapsed = (int)from->lapsed,
        .tried = (int)from->tried,
        .fencing_token = from->fencing_token,
        .attempt = (uint32_t)from->attempt,
        .failed_count = (uint32_t)from->failed_count,
        .code = (uint32_t)from->code,
        .since_ms = from->since_ms,
        .left_ms = from->left_ms,
        .client_name =
            look_copy(look->text.client_name, sizeof look->text.client_name, from->client_name),
        .peer = look_copy(look->text.peer, sizeof look->text.peer, from->peer),
    };
    return look->each.branch_cb(&line, look->each_data);
}

static int make_list(hf_client *client, const char *prefix, int unfinished,
                     int (*each_cb)(const hf_branch_line *line, void *data), void *data,
                     struct look **out)
{
    struct msg_branch_list list = {.count_max = LOOK_PAGE_ITEMS, .unfinished = unfinished != 0};
    struct look *look;
    if (client == NULL || each_cb == NULL) return HF_EINVAL;
    int rv = look_new(client, OP_CODE_BRANCH_LIST, RAW_ARENA_BYTES, look_show_page, &look);
    if (rv != HF_OK) return rv;
    rv = look_keep(look->prefix, prefix, &list.prefix);
    if (rv != HF_OK) return look_drop(look, rv);
    raw_pages_init(&look->ask.pages, OP_CODE_BRANCH_LIST, &list, show_branch, look);
    look->each.branch_cb = each_cb;
    look->each_data = data;
    *out = look;
    return HF_OK;
}

int hf_branch_list(hf_client *client, const char *prefix, int unfinished,
                   int (*each_cb)(const hf_branch_line *line, void *data), void *data)
{
    struct look *look = NULL;
    int rv = make_list(client, prefix, unfinished, each_cb, data, &look);
    return look_run(look, rv);
}

int hf_branch_list_async(hf_client *client, const char *prefix, int unfinished,
                         int (*each_cb)(const hf_branch_line *line, void *data), void *each_data,
                         hf_done_cb done_cb, void *data, hf_call *call)
{
    struct look *look = NULL;
    int rv = make_list(client, prefix, unfinished, each_cb, each_data, &look);
    return look_start(look, rv, done_cb, data, call);
}

static int show_one_branch(struct look *look)
{
    struct msg_branch_info info;
    int rv = raw_decode(OP_CODE_BRANCH_GET, &look->reply, &look->arena, &info);
    if (rv != HF_OK) return rv;
    const struct branch_line line = raw_branch_line(&info);
    (void)show_branch(&line, look);
    return HF_OK;
}

static int make_info(hf_client *client, const char *gid, const char *branch,
                     int (*each_cb)(const hf_branch_line *line, void *data), void *data,
                     struct look **out)
{
    if (gid == NULL || branch == NULL || each_cb == NULL) return HF_EINVAL;
    int rv = look_new(client, OP_CODE_BRANCH_GET, RAW_ARENA_BYTES, show_one_branch, out);
    if (rv != HF_OK) return rv;
    (*out)->ask.branch = (struct msg_branch_get){slice_of(gid), slice_of(branch)};
    (*out)->each.branch_cb = each_cb;
    (*out)->each_data = data;
    return HF_OK;
}

int hf_branch_info(hf_client *client, const char *gid, const char *branch,
                   int (*each_cb)(const hf_branch_line *line, void *data), void *data)
{
    struct look *look = NULL;
    int rv = make_info(client, gid, branch, each_cb, data, &look);
    return look_run(look, rv);
}

int hf_branch_info_async(hf_client *client, const char *gid, const char *branch,
                         int (*each_cb)(const hf_branch_line *line, void *data), void *each_data,
                         hf_done_cb done_cb, void *data, hf_call *call)
{
    struct look *look = NULL;
    int rv = make_info(client, gid, branch, each_cb, each_data, &look);
    return look_start(look, rv, done_cb, data, call);
}
