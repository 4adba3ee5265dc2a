#include "servers/http/detail/welcome_page.hpp"

#include <string_view>

#include "servers/http/detail/live_html.hpp"

namespace procpool::http {
namespace {

constexpr std::string_view kStyle = R"css(
header, main { max-width: 58rem; }
.lead { font-size: 1.12rem; max-width: 44rem; margin: 0 0 2rem; }
figure {
  margin: 0; padding: 1.5rem min(1.25rem, 3vw) 1.25rem; text-align: center;
  background: var(--card); border: 1px solid var(--line); border-radius: 14px;
}
figcaption { margin-top: 1rem; font-size: .9rem; color: var(--soft); }
figure b { display: block; font-size: 1.25rem; font-variant-numeric: tabular-nums; }
.master {
  display: inline-block; border: 2px solid var(--accent); border-radius: 10px; padding: .6rem .9rem;
  font-size: .9rem; line-height: 1.4;
}
.stem { width: 2px; height: 1.5rem; margin: auto; background: var(--line); }
figure ul {
  display: flex; flex-wrap: wrap; justify-content: center; gap: 1rem .75rem; list-style: none;
  margin: 0; padding: 1.25rem .75rem; border: 2px dashed var(--line); border-radius: 12px;
}
figure li {
  flex: 0 1 8.75rem; position: relative;
  border: 2px solid var(--ready); border-radius: 10px; padding: .6rem .25rem; font-size: .9rem; line-height: 1.4;
}
figure li[data-state=starting] { border-color: var(--starting); border-style: dashed; }
figure li[data-state=draining] { border-color: var(--draining); border-style: dashed; }
figure li[data-answered=true] { background: color-mix(in srgb, var(--accent) 12%, var(--card)); }
.you {
  display: none; position: absolute; top: -.7rem; left: 50%; transform: translateX(-50%); white-space: nowrap;
  padding: 0 .55rem; border-radius: 1rem; background: var(--accent); color: var(--card); font-size: .75rem;
}
[data-answered=true] .you { display: block; }
.tries { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); gap: 1rem; margin: 0; padding: 0; list-style: none; }
.tries li { background: var(--card); border: 1px solid var(--line); border-radius: 14px; padding: 1rem 1.15rem; }
.tries h3 { margin: 0 0 .5rem; font-size: 1rem; }
.tries p { margin: .6rem 0 0; font-size: .95rem; color: var(--soft); }
.tries code.command {
  display: block; padding: .5rem .7rem; border-radius: 8px; background: var(--ground); color: var(--ink);
  overflow-x: auto; white-space: nowrap; user-select: all;
}
.tries code.command + code.command { margin-top: .4rem; }
.tries p code { white-space: nowrap; }
)css";

constexpr std::string_view kWhatRuns = R"html(
<h1>It works: your web server is running</h1>
<p class="lead">One master process keeps {{/workers workers}}, forked before you came. Each has an event
loop of its own and accepts from the same listening sockets; worker <b>{{/answered_by}}</b> has just
answered you. Should one of them die, the others go on and the master puts a new one in its place.</p>
<figure>
<div class="master">master <b>{{/master/pid}}</b>
generation {{/master/generation}} · up {{/master/uptime_seconds duration}}</div>
<div class="stem"></div>
)html";

constexpr std::string_view kWorker =
    R"html(worker <b>{{/pid}}</b> generation {{/generation}}<br>
<span class="state">{{/state}}</span>, {{/busy busy}}<span class="you">answered you</span>)html";

constexpr std::string_view kWhatToTry = R"html(
<figcaption>These are the processes as they are now, looked at anew each second.
<a href="/status">What each of them is doing</a></figcaption>
</figure>
<h2>What to try next, in a terminal</h2>
<ul class="tries">
<li><h3>Reload without losing a request</h3>
<code class="command">kill -HUP {{/master/pid}}</code>
<p>The configuration is read again. A new generation of workers starts; once it is ready, the old
one drains and hands over its connections. Watch it happen above.</p></li>
<li><h3>Kill a worker</h3>
<code class="command">kill -KILL {{/workers/0/pid}}</code>
<p>Only what it had in its hands is lost. The master notices at once and starts another one in its
place.</p></li>
<li><h3>One worker more, one fewer</h3>
<code class="command">kill -TTIN {{/master/pid}}</code>
<code class="command">kill -TTOU {{/master/pid}}</code>
<p>The number of workers is changed while they serve, until the next reload.</p></li>
<li><h3>Serve your own files</h3>
<code class="command">kill -TERM {{/master/pid}}</code>
<code class="command">procpool-httpd --root DIR</code>
<p>The first ends this server when its answers are out, the second serves what lies beneath DIR.
<code>procpool-httpd --help</code> shows the rest.</p></li>
</ul>
<h2>Look inside</h2>
<p><a href="/status">/status</a> shows the master, its workers and what each is doing;
<a href="/status.json">/status.json</a> tells the same to programs.</p>
)html";

}  // namespace

std::string render_welcome_page(const StatusDocument& status) {
  LivePage page{status, {.title = "procpool-httpd", .style = kStyle}};
  page.add(kWhatRuns);
  page.add_workers("ul", "li", kWorker);
  page.add(kWhatToTry);
  return std::move(page).finish();
}

}  // namespace procpool::http
