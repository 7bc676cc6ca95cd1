/* MKL, which torch's wheels use, takes its AVX-512 code on Intel processors only. Preloaded on others, this answer
 * lets it choose by what the processor can do, which doubles torch's matrix product on recent AMD ones. */
int mkl_serv_intel_cpu_true(void) { return 1; }
