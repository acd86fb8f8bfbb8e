package dev.hapi;

import ca.uhn.fhir.rest.server.RestfulServer;
import jakarta.servlet.Servlet;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import org.apache.catalina.Context;
import org.apache.catalina.LifecycleException;
import org.apache.catalina.connector.Connector;
import org.apache.catalina.startup.Tomcat;
import org.apache.coyote.AbstractProtocol;
import org.apache.coyote.RequestGroupInfo;
import org.springframework.context.ApplicationContext;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;

/**
 * HAPI FHIR JPA, R4, in memory, on 127.0.0.1: {@code HapiServer PORT}, 0 picks a free one.
 *
 * <p>Prints READY and its origin once it serves. Ends when its stdin is closed, which it is as soon as its launcher is
 * gone.
 */
public final class HapiServer {
    private static final String READY = "READY http://127.0.0.1:%d%n";

    private HapiServer() {}

    public static void main(String[] args) throws IOException {
        endWithLauncher();
        ApplicationContext beans = new AnnotationConfigApplicationContext(HapiConfiguration.class);
        Tomcat tomcat = tomcat(Integer.parseInt(args[0]));
        Context root = tomcat.addContext("", null);
        serve(root, "fhir", "/fhir/*", beans.getBean(RestfulServer.class));
        serve(root, "dev", "/_dev/*", beans.getBean(Development.class));
        try {
            tomcat.start();
        } catch (LifecycleException refused) {
            System.err.printf("hapi: port %s cannot be used%n", args[0]);
            Runtime.getRuntime().halt(1);
        }
        AbstractProtocol<?> protocol = (AbstractProtocol<?>) tomcat.getConnector().getProtocolHandler();
        beans.getBean(Development.class).counts((RequestGroupInfo) protocol.getHandler().getGlobal());
        System.out.printf(READY, tomcat.getConnector().getLocalPort());
        tomcat.getServer().await();
    }

    private static Tomcat tomcat(int port) throws IOException {
        Connector connector = new Connector();
        connector.setPort(port);
        connector.setProperty("address", "127.0.0.1");
        connector.setProperty("relaxedQueryChars", "|");
        connector.setThrowOnFailure(true);
        Tomcat tomcat = new Tomcat();
        tomcat.setBaseDir(Files.createTempDirectory("hapi").toString());
        tomcat.setConnector(connector);
        tomcat.setSilent(true);
        return tomcat;
    }

    private static void serve(Context root, String name, String pattern, Servlet servlet) {
        Tomcat.addServlet(root, name, servlet).setLoadOnStartup(1);
        root.addServletMappingDecoded(pattern, name);
    }

    private static void endWithLauncher() {
        Thread watch = new Thread(() -> {
            try {
                System.in.transferTo(OutputStream.nullOutputStream());
            } catch (IOException gone) {
                // the same as its end
            }
            Runtime.getRuntime().halt(0);
        });
        watch.setDaemon(true);
        watch.start();
    }
}
