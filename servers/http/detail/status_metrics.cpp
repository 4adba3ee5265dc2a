#include "servers/http/detail/status_metrics.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
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
    {"last_reload_successful", "gauge", "1: it was.", "last_reload_ok"},
    {"last_reload_time_seconds", "gauge", "When it was over, since 1970.", "last_reload_unix"},
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
    {"worker_cpu_ratio", "gauge", "The part of one CPU that it has used of late.", "cpu_ratio"},
};

constexpr Metric kLastRestarts{"last_restarts", "gauge", "Of the last few restarts, by cause.",
                               "last_restarts"};
constexpr Metric kLatency{"request_duration_seconds", "histogram",
                          "From a request's first byte to the last of its answer.", "latency"};
constexpr Metric kLatencyOfWorkers{"worker_request_duration_seconds", "histogram",
                                   "The same, since the worker started.", "latency"};

constexpr std::string_view kStates[] = {"starting", "ready", "draining"};

class Writer {
 public:
  void begin(const Metric& metric) {
    name_ = std::string{"procpool_httpd_"}.append(metric.name);
    text_.append("# HELP ").append(name_).append(" ").append(metric.help).append("\n");
    text_.append("# TYPE ").append(name_).append(" ").append(metric.type).append("\n");
  }

  // What is not known has no sample. The suffix is of the name.
  void add(const StatusDocument& value, std::string_view labels = {},
           std::string_view suffix = {}) {
    if (value.is_null()) return;
    text_.append(name_).append(suffix);
    if (!labels.empty()) text_.append("{").append(labels).append("}");
    text_.append(" ");
    text_.append(value.is_boolean() ? (value.get<bool>() ? "1" : "0") : value.dump());
    text_.append("\n");
  }

  void add_histogram(const StatusDocument& latency, const std::string& labels = {}) {
    const StatusDocument& buckets = latency.at("buckets");
    std::uint64_t count = 0;
    for (std::size_t octave = 0; octave < proc::LatencyCounts::kOctaves; ++octave) {
      const std::string bound = name_of_octave(octave);
      count += buckets.value(bound, std::uint64_t{0});
      add(count, labels + (labels.empty() ? "" : ",") + "le=\"" + bound + "\"", "_bucket");
    }
    add(latency.at("sum_seconds"), labels, "_sum");
    add(count, labels, "_count");
  }

  std::string finish() && { return std::move(text_); }

 private:
  std::string name_;
  std::string text_;
};

std::string labels_of(const StatusDocument& worker, std::string_view state = {}) {
  std::string labels =
      "slot=\"" + worker.at("slot").dump() + "\",pid=\"" + worker.at("pid").dump() + "\"";
  if (!state.empty()) labels.append(",state=\"").append(state).append("\"");
  return labels;
}

std::string label_of_cause(std::string_view cause) {
  std::string label{"cause=\""};
  for (const char c : cause) {
    if (c == '"' || c == '\\') label.push_back('\\');
    label.append(c == '\n' ? "\\n" : std::string{c});
  }
  return label.append("\"");
}

std::map<std::string, int> causes_of(const StatusDocument& restarts) {
  std::map<std::string, int> causes;
  for (const StatusDocument& restart : restarts) ++causes[restart.at("cause").get<std::string>()];
  return causes;
}

}  // namespace

std::string render_status_metrics(const StatusDocument& status) {
  Writer writer;
  const StatusDocument& master = status.at("master");
  for (const Metric& metric : kOfMaster) {
    writer.begin(metric);
    writer.add(master.at(metric.key));
  }
  writer.begin(kLastRestarts);
  for (const auto& [cause, count] : causes_of(master.at(kLastRestarts.key)))
    writer.add(count, label_of_cause(cause));
  writer.begin(kLatency);
  writer.add_histogram(master.at(kLatency.key));
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
  writer.begin(kLatencyOfWorkers);
  for (const StatusDocument& worker : workers)
    writer.add_histogram(worker.at(kLatencyOfWorkers.key), labels_of(worker));
  return std::move(writer).finish();
}

}  // namespace procpool::http
