/* Enough of NVIDIA's driver for bench/ondevice/cuda.py, with the host's memory as the GPU's. Every call checks what it can. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef int code;
enum { OK = 0, INVALID = 1, NOT_READY = 600 };
struct event { double ms; int passed; };
struct stream { int capturing; };
struct graph { int made; };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

code cuInit(unsigned flags) { return flags ? INVALID : OK; }
code cuDriverGetVersion(int *v) { *v = 12060; return OK; }
code cuDeviceGetCount(int *n) { const char *none = getenv("DOUBLE_NO_GPU"); *n = none ? 0 : 1; return OK; }
code cuDeviceGet(int *d, int i) { *d = 7; return i ? INVALID : OK; }
code cuDevicePrimaryCtxRetain(void **c, int d) { *c = (void *)0x77; return d == 7 ? OK : INVALID; }
code cuCtxSetCurrent(void *c) { return c == (void *)0x77 ? OK : INVALID; }
code cuDeviceGetName(char *s, int n, int d) {
    const char *name = getenv("DOUBLE_GPU");
    snprintf(s, n, "%s", name ? name : "Orin");
    return d == 7 ? OK : INVALID;
}
code cuDeviceGetUuid(unsigned char *u, int d) {
    for (int i = 0; i < 16; i++) u[i] = (unsigned char)i;
    return d == 7 ? OK : INVALID;
}
code cuDeviceTotalMem_v2(size_t *n, int d) { *n = (size_t)8 << 30; return d == 7 ? OK : INVALID; }
code cuDeviceGetAttribute(int *v, int a, int d) {
    const char *cc = getenv("DOUBLE_CC");
    if (!cc) cc = "8.7";
    if (a == 75) *v = atoi(cc);
    else if (a == 76) *v = atoi(strchr(cc, '.') + 1);
    else return INVALID;
    return d == 7 ? OK : INVALID;
}
code cuMemGetInfo_v2(size_t *f, size_t *t) { *f = (size_t)5 << 30; *t = (size_t)8 << 30; return OK; }
code cuMemAlloc_v2(uint64_t *p, size_t n) { *p = (uint64_t)malloc(n); return n ? OK : INVALID; }
code cuMemcpyHtoD_v2(uint64_t d, const void *h, size_t n) { memcpy((void *)d, h, n); return OK; }
code cuMemcpyDtoH_v2(void *h, uint64_t d, size_t n) { memcpy(h, (void *)d, n); return OK; }
code cuStreamCreate(void **s, unsigned f) { *s = calloc(1, sizeof(struct stream)); return f == 1 ? OK : INVALID; }
code cuStreamSynchronize(void *s) { return ((struct stream *)s)->capturing ? INVALID : OK; }
code cuEventCreate(void **e, unsigned f) { *e = calloc(1, sizeof(struct event)); return f ? INVALID : OK; }
code cuEventRecord(void *e, void *s) {
    if (!s) return INVALID;
    ((struct event *)e)->ms = now();
    ((struct event *)e)->passed = 1;
    return OK;
}
code cuEventElapsedTime(float *ms, void *a, void *b) {
    struct event *x = a, *y = b;
    if (!x->passed || !y->passed) return NOT_READY;
    *ms = (float)(y->ms - x->ms);
    return OK;
}
code cuStreamBeginCapture_v2(void *s, int mode) { ((struct stream *)s)->capturing = 1; return mode == 1 ? OK : INVALID; }
code cuStreamEndCapture(void *s, void **g) {
    ((struct stream *)s)->capturing = 0;
    if (getenv("DOUBLE_NO_CAPTURE")) return 900;
    *g = calloc(1, sizeof(struct graph));
    return OK;
}
code cuGraphInstantiateWithFlags(void **x, void *g, uint64_t f) { *x = g; return f ? INVALID : OK; }
code cuGraphLaunch(void *x, void *s) { return x && s ? OK : INVALID; }
code cuGetErrorString(code c, const char **s) {
    *s = c == 900 ? "operation not permitted when stream is capturing" : c == INVALID ? "invalid argument" : "not ready";
    return OK;
}
