/* The compiled peers of trees_bench.py: calls them as a C program would, with nothing in between.
 *
 * Usage: PROGRAM ROWS.f32 WIDTH ANSWERS MODEL.txt. Writes to ANSWERS what each peer says of every row, one
 * peer after the other, then waits for lines "PEER BATCH MILLISECONDS" on its standard input: after each it
 * calls that peer with one batch after another for that long, and says how often. Peers: see the table below.
 * Rows are float64, which is what all of these take. header.h and predict() are what tl2cgen made.
 */
#include "header.h"
#include <time.h>
#ifdef LIGHTGBM
typedef void *Handle;
int LGBM_BoosterCreateFromModelfile(const char *, int *, Handle *);
int LGBM_BoosterPredictForMatSingleRowFastInit(Handle, int, int, int, int, int, const char *, Handle *);
int LGBM_BoosterPredictForMatSingleRowFast(Handle, const void *, int64_t *, double *);
int LGBM_BoosterPredictForMat(Handle, const void *, int, int32_t, int32_t, int, int, int, int, const char *,
                              int64_t *, double *);
void lleaves(const double *, double *, int32_t, int32_t);
void lleaves_single(const double *, double *, int32_t, int32_t);
static Handle booster, fast;
#endif

static int width;

static void fail(const char *what) {
    fprintf(stderr, "%s\n", what);
    exit(1);
}

static void run_tl2cgen(double *rows, int count, double *answers) {
    for (int row = 0; row < count; row++)
        predict((union Entry *)(rows + (size_t)row * width), 0, answers + row);
}

#ifdef LIGHTGBM
static void run_lleaves(double *rows, int count, double *answers) { lleaves(rows, answers, 0, count); }

static void run_lleaves_single(double *rows, int count, double *answers) {
    lleaves_single(rows, answers, 0, count);
}

/* float64, all trees, one thread; a single row by the way that LightGBM has for it. */
static void run_lightgbm(double *rows, int count, double *answers) {
    int64_t given;
    int failed = count == 1
        ? LGBM_BoosterPredictForMatSingleRowFast(fast, rows, &given, answers)
        : LGBM_BoosterPredictForMat(booster, rows, 1, count, width, 1, 0, 0, -1, "num_threads=1", &given, answers);
    if (failed) fail("LightGBM cannot predict");
}
#endif

static const struct {
    const char *name;
    void (*run)(double *, int, double *);
} peers[] = {
    {"tl2cgen", run_tl2cgen},
#ifdef LIGHTGBM
    {"lleaves", run_lleaves},
    {"lleaves_single", run_lleaves_single},
    {"lightgbm", run_lightgbm},
#endif
};
enum { PEERS = sizeof peers / sizeof *peers };

static double *read_rows(const char *path, int *count) {
    FILE *file = fopen(path, "rb");
    if (!file) fail("the rows cannot be read");
    fseek(file, 0, SEEK_END);
    size_t numbers = ftell(file) / sizeof(float);
    rewind(file);
    float *narrow = malloc(numbers * sizeof *narrow);
    double *rows = malloc(numbers * sizeof *rows);
    if (fread(narrow, sizeof *narrow, numbers, file) != numbers) fail("the rows cannot be read");
    for (size_t at = 0; at < numbers; at++) rows[at] = narrow[at];
    free(narrow);
    fclose(file);
    *count = numbers / width;
    return rows;
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e3 + time.tv_nsec / 1e6;
}

/* How many calls end within that time, which is looked at after every sixteenth. */
static long measure(int peer, double *rows, int count, int batch, double *answers, double milliseconds) {
    long calls = 0;
    int row = 0;
    double began = now();
    while (now() - began < milliseconds)
        for (int call = 0; call < 16; call++, calls++) {
            peers[peer].run(rows + (size_t)row * width, batch, answers);
            row = row + 2 * batch > count ? 0 : row + batch;
        }
    return calls;
}

int main(int given, char **words) {
    if (given != 5) fail("usage: PROGRAM ROWS.f32 WIDTH ANSWERS MODEL.txt");
    width = atoi(words[2]);
    int count;
    double *rows = read_rows(words[1], &count), *answers = malloc(count * sizeof *answers);
#ifdef LIGHTGBM
    int iterations;
    if (LGBM_BoosterCreateFromModelfile(words[4], &iterations, &booster)
        || LGBM_BoosterPredictForMatSingleRowFastInit(booster, 0, 0, -1, 1, width, "num_threads=1", &fast))
        fail("LightGBM cannot load the model");
#endif
    FILE *file = fopen(words[3], "wb");
    if (!file) fail("the answers cannot be written");
    for (int peer = 0; peer < PEERS; peer++) {
        peers[peer].run(rows, count, answers);
        fwrite(answers, sizeof *answers, count, file);
    }
    fclose(file);
    char name[32];
    int batch;
    double milliseconds;
    while (scanf("%31s %d %lf", name, &batch, &milliseconds) == 3) {
        int peer = 0;
        while (peer < PEERS && strcmp(peers[peer].name, name)) peer++;
        if (peer == PEERS || batch < 1 || batch > count) fail("no such peer, or no such batch");
        printf("%ld\n", measure(peer, rows, count, batch, answers, milliseconds));
        fflush(stdout);
    }
    return 0;
}
