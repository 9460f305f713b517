// SPDX-License-Identifier: Apache-2.0
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/** Java: HttpServer, thread pools, null checks by faults, an overflown stack, garbage, a child process. */
public class Server {
    static volatile Object sink;
    static int depth;

    static long count(long a) {
        for (int i = 0; i < 100000; i++)
            a = (a * 31 + i) % 1000003;
        return a;
    }

    static String work() throws Exception {
        var pool = Executors.newFixedThreadPool(4);
        var all = IntStream.range(0, 4).<Callable<Long>>mapToObj(seed -> () -> count(seed)).collect(Collectors.toList());
        var said = new StringBuilder();
        for (var f : pool.invokeAll(all))
            said.append(said.length() > 0 ? " " : "").append(f.get());
        pool.shutdown();
        return said + "\n";
    }

    static String child() throws IOException {
        return new String(new ProcessBuilder("/bin/echo", "through a child").start().getInputStream().readAllBytes());
    }

    /** Hot enough to be compiled: the check is then a fault. */
    static int nulls() {
        int caught = 0;
        for (int i = 0; i < 30000; i++) {
            String s = i % 1000 == 0 ? null : "x";
            try {
                caught += s.length() - 1;
            } catch (NullPointerException e) {
                caught++;
            }
        }
        return caught;
    }

    static void deep() {
        depth++;
        deep();
    }

    static boolean overflow() {
        try {
            deep();
            return false;
        } catch (StackOverflowError e) {
            return depth > 500;
        }
    }

    static long garbage() {
        long sum = 0;
        for (int i = 0; i < 2000; i++) {
            byte[] x = new byte[100000];
            sum += x.length;
            sink = x;
        }
        return sum;
    }

    static String own() {
        return nulls() + " " + overflow() + " " + garbage() + "\n";
    }

    static void serve(HttpExchange e) throws IOException {
        String path = e.getRequestURI().getPath(), body;
        try {
            body = switch (path) {
                case "/work" -> work();
                case "/child" -> child();
                case "/own" -> own();
                case "/quit" -> "bye\n";
                default -> "hello\n";
            };
        } catch (Throwable t) {
            body = t + "\n";
        }
        e.sendResponseHeaders(200, body.length());
        e.getResponseBody().write(body.getBytes());
        e.close();
        if (path.equals("/quit"))
            Executors.newScheduledThreadPool(1).schedule(() -> System.exit(3), 100, TimeUnit.MILLISECONDS);
    }

    public static void main(String[] args) throws IOException {
        var server = HttpServer.create(new InetSocketAddress(8080), 64);
        server.setExecutor(Executors.newFixedThreadPool(4));
        server.createContext("/", Server::serve);
        server.start();
    }
}
