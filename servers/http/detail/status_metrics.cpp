#include "servers/http/detail/status_metrics.hpp"

#include <string_view>

namespace procpool::http {
namespace {

// One metric and the key of its value. Names and units are as
// https://prometheus.io/docs/practices/naming/ asks for.
struct Metric {
  std::string_view name;
  std::string_view type;
  std::string_view help;
  std::string_view key;
};

constexpr Metric kOfMaster[] = {
    {"start_time_seconds", "gauge", "When the master started, since 1970.", "started_unix"},
    {"generation", "gauge", "The generation that serves.", "generation"},
    {"reloads_total", "counter", "Reloads that succeeded.", "reloads"},
    {"restarts_total", "counter", "Workers that ended unasked.", "restarts"},
    {"requests_total", "counter", "Requests answered by all workers ever.", "requests"},
    {"sent_bytes_total", "counter", "Bytes sent by all workers ever.", "bytes"},
};

constexpr Metric kOfWorkers[] = {
    {"worker_generation", "gauge", "The generation it belongs to.", "generation"},
    {"worker_busy", "gauge", "1: it works on a request.", "busy"},
    {"worker_age_seconds", "gauge", "The time since it started.", "uptime_seconds"},
    {"worker_connections", "gauge", "Connections open now.", "connections"},
    {"worker_accepted_total", "counter", "Connections since it started.", "accepted"},
    {"worker_requests_total", "counter", "Requests since it started.", "requests"},
    {"worker_sent_bytes_total", "counter", "Bytes sent since it started.", "bytes"},
    {"worker_resident_memory_bytes", "gauge", "Resident memory.", "rss_bytes"},
    {"worker_cpu_seconds_total", "counter", "CPU time, user and system.", "cpu_seconds"},
};

constexpr std::string_view kStates[] = {"starting", "ready", "draining"};

class Writer {
 public:
  void begin(const Metric& metric) {
    name_ = std::string{"procpool_httpd_"}.append(metric.name);
    text_.append("# HELP ").append(name_).append(" ").append(metric.help).append("\n");
    text_.append("# TYPE ").append(name_).append(" ").append(metric.type).append("\n");
  }

  // What is not known has no sample.
  void add(const StatusDocument& value, std::string_view labels = {}) {
    if (value.is_null()) return;
    text_.append(name_).append(labels).append(" ");
    text_.append(value.is_boolean() ? (value.get<bool>() ? "1" : "0") : value.dump());
    text_.append("\n");
  }

  std::string finish() && { return std::move(text_); }

 private:
  std::string name_;
  std::string text_;
};

std::string labels_of(const StatusDocument& worker, std::string_view state = {}) {
  std::string labels =
      "{slot=\"" + worker.at("slot").dump() + "\",pid=\"" + worker.at("pid").dump() + "\"";
  if (!state.empty()) labels.append(",state=\"").append(state).append("\"");
  return labels.append("}");
}

}  // namespace

std::string render_status_metrics(const StatusDocument& status) {
  Writer writer;
  for (const Metric& metric : kOfMaster) {
    writer.begin(metric);
    writer.add(status.at("master").at(metric.key));
  }
  const StatusDocument& workers = status.at("workers");
  writer.begin({"worker_state", "gauge", "1: it is in this state.", {}});
  for (const StatusDocument& worker : workers) {
    for (const std::string_view state : kStates)
      writer.add(worker.at("state") == state, labels_of(worker, state));
  }
  for (const Metric& metric : kOfWorkers) {
    writer.begin(metric);
    for (const StatusDocument& worker : workers)
      writer.add(worker.at(metric.key), labels_of(worker));
  }
  return std::move(writer).finish();
}

}  // namespace procpool::http
