// Loaded by a test when the workers of its pool are there already.
extern "C" int add_one(int n) {
  return n + 1;
}
