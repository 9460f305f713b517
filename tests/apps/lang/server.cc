/* SPDX-License-Identifier: Apache-2.0 */
/* C++: std::thread and futures, exceptions through frames of C, out of threads, and thousands of them at once. */
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <memory>
#include <mutex>
#include <numeric>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

static std::string work()
{
    std::vector<std::future<long>> all;
    for (long seed = 0; seed < 4; seed++)
        all.push_back(std::async(std::launch::async, [seed] {
            long a = seed;
            for (long i = 0; i < 100000; i++)
                a = (a * 31 + i) % 1000003;
            return a;
        }));
    std::ostringstream out;
    for (auto &f : all)
        out << f.get() << (&f == &all.back() ? "\n" : " ");
    return out.str();
}

static std::string child()
{
    std::unique_ptr<FILE, int (*)(FILE *)> f(popen("/bin/echo through a child", "r"), pclose);
    std::array<char, 100> line{};
    if (!f || !fgets(line.data(), line.size(), f.get()))
        throw std::runtime_error("no child");
    return line.data();
}

static int destroyed;
struct Noted {
    ~Noted() { destroyed++; }
};

static int refuse(const void *, const void *) { throw std::invalid_argument("compared"); }

static std::string own()
{
    std::ostringstream out;
    int two[] = {2, 1}, caught = 0;
    destroyed = 0;
    try {
        Noted n;
        qsort(two, 2, sizeof(int), refuse); /* through frames of libc */
    } catch (const std::invalid_argument &e) {
        out << e.what() << ' ' << destroyed << ", ";
    }
    std::atomic<int> sum = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; t++)
        threads.emplace_back([&sum] {
            for (int i = 0; i < 500; i++)
                try {
                    throw i;
                } catch (int x) {
                    sum += x;
                }
        });
    for (auto &t : threads)
        t.join();
    out << sum << ", ";
    try {
        std::async(std::launch::async, []() -> int { throw std::out_of_range("from a thread"); }).get();
    } catch (const std::exception &e) {
        out << e.what() << ", ";
    }
    try {
        std::make_unique<char[]>(size_t{1} << 60);
    } catch (const std::bad_alloc &) {
        caught++;
    }
    std::mutex m;
    std::condition_variable cv;
    std::unique_lock<std::mutex> l(m);
    out << caught << ' ' << (cv.wait_for(l, std::chrono::milliseconds(20)) == std::cv_status::timeout) << '\n';
    return out.str();
}

static void serve(int fd)
{
    std::string in, body;
    std::array<char, 4096> part;
    ssize_t n;
    while (in.find("\r\n\r\n") == std::string::npos && (n = read(fd, part.data(), part.size())) > 0)
        in.append(part.data(), static_cast<size_t>(n));
    std::string method, path;
    std::istringstream(in) >> method >> path;
    try {
        body = path == "/work" ? work() : path == "/child" ? child() : path == "/own" ? own() : path == "/quit" ? "bye\n" : "hello\n";
    } catch (const std::exception &e) {
        body = e.what();
    }
    dprintf(fd, "HTTP/1.0 200 OK\r\nContent-Length: %zu\r\n\r\n%s", body.size(), body.c_str());
    close(fd);
    if (path == "/quit")
        exit(3);
}

int main()
{
    int s = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_port = htons(8080);
    if (bind(s, reinterpret_cast<sockaddr *>(&a), sizeof(a)) < 0 || listen(s, 64) < 0)
        return 1;
    for (;;)
        std::thread(serve, accept(s, nullptr, nullptr)).detach();
}
