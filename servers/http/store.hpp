// What clients may change: PUT and DELETE.
//
//   auto begun = store.put(request);                    // before its body is read
//   if (begun.upload) { begun.upload->write(bytes); page = begun.upload->finish(request); }
#pragma once

#include <memory>
#include <string_view>

#include "servers/http/page.hpp"
#include "servers/http/request.hpp"

namespace procpool::http {

// A body on its way. Destroyed without finish(), nothing has changed.
class Upload {
 public:
  virtual ~Upload() = default;

  virtual void write(std::string_view bytes) = 0;      // throws Error
  virtual PagePtr finish(const Request& request) = 0;  // the answer; throws Error
};

// A PUT is refused by a page, or taken by an upload.
struct Reception {
  PagePtr refusal = nullptr;
  std::unique_ptr<Upload> upload = nullptr;
};

// Where representations can be put and removed. Of one thread; outlives its uploads.
class Store {
 public:
  virtual ~Store() = default;

  virtual Reception put(const Request& request) = 0;   // throws Error
  virtual PagePtr remove(const Request& request) = 0;  // throws Error
};

}  // namespace procpool::http
