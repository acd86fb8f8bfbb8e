package dev.hapi;

import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.interceptor.api.Hook;
import ca.uhn.fhir.interceptor.api.Interceptor;
import ca.uhn.fhir.interceptor.api.Pointcut;
import ca.uhn.fhir.jpa.api.dao.DaoRegistry;
import ca.uhn.fhir.jpa.api.dao.IFhirSystemDao;
import ca.uhn.fhir.jpa.dao.expunge.IExpungeEverythingService;
import ca.uhn.fhir.jpa.searchparam.SearchParameterMap;
import ca.uhn.fhir.rest.api.server.SystemRequestDetails;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.coyote.RequestGroupInfo;
import org.hl7.fhir.instance.model.api.IBaseResource;

/**
 * What tests ask of the server beside FHIR, as of the other server of the local stack: {@code POST reset},
 * {@code GET dump} (every current resource), {@code GET stats} (requests and bytes since the last reset). Faults it
 * has none.
 */
@Interceptor
public class Development extends HttpServlet {
    private static final int EVERYTHING = 100_000;

    private final transient FhirContext context;
    private final transient IFhirSystemDao<?, ?> system;
    private final transient DaoRegistry types;
    private final transient IExpungeEverythingService expunge;
    private final AtomicLong requests = new AtomicLong();
    private transient RequestGroupInfo traffic;

    Development(
            FhirContext context, IFhirSystemDao<?, ?> system, DaoRegistry types, IExpungeEverythingService expunge) {
        this.context = context;
        this.system = system;
        this.types = types;
        this.expunge = expunge;
    }

    void counts(RequestGroupInfo traffic) {
        this.traffic = traffic;
    }

    @Hook(Pointcut.SERVER_INCOMING_REQUEST_PRE_PROCESSED)
    public void count() {
        requests.incrementAndGet();
    }

    @Override
    protected void doGet(HttpServletRequest request, HttpServletResponse response) throws IOException {
        switch (request.getPathInfo()) {
            case "/dump" -> answer(response, dump());
            case "/stats" -> answer(response, stats());
            default -> response.sendError(HttpServletResponse.SC_NOT_FOUND);
        }
    }

    @Override
    protected void doPost(HttpServletRequest request, HttpServletResponse response) throws IOException {
        if (!"/reset".equals(request.getPathInfo())) {
            response.sendError(HttpServletResponse.SC_NOT_IMPLEMENTED);
            return;
        }
        expunge.expungeEverything(new SystemRequestDetails());
        requests.set(0);
        traffic.resetCounters();
        answer(response, "{}");
    }

    /** Bytes are those of bodies, as Tomcat counts them. */
    private String stats() {
        return "{\"total\": %d, \"bytes_in\": %d, \"bytes_out\": %d}"
                .formatted(requests.get(), traffic.getBytesReceived(), traffic.getBytesSent());
    }

    private String dump() {
        return system.getResourceCounts().keySet().stream()
                .flatMap(this::resources)
                .map(context.newJsonParser()::encodeResourceToString)
                .collect(Collectors.joining(",", "[", "]"));
    }

    private Stream<IBaseResource> resources(String type) {
        SearchParameterMap everything = new SearchParameterMap().setLoadSynchronousUpTo(EVERYTHING);
        return types.getResourceDao(type).search(everything, new SystemRequestDetails()).getAllResources().stream();
    }

    private static void answer(HttpServletResponse response, String json) throws IOException {
        response.setContentType("application/json");
        response.setCharacterEncoding("UTF-8");
        response.getWriter().write(json);
    }
}
